/** The page *Histórico*: the list, or one evaluation when the address names it. */

import { showDetail } from "./detail.js";
import { arrived, hook } from "./dom.js";
import { showList } from "./list.js";

arrived();

const id = new URLSearchParams(location.search).get("id");

if (id) showDetail(hook("detail"), id);
else showList(hook("list"));
