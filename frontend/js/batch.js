/** The page *Arquivos*: a new batch, or one batch when the address names it. */

import { showNew } from "./batch-upload.js";
import { showBatch } from "./batch-view.js";
import { arrived, hook } from "./dom.js";

arrived();

const id = new URLSearchParams(location.search).get("id");

if (id) showBatch(hook("batch"), id);
else showNew(hook("new"));
