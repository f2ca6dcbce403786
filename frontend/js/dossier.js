/** The report's one act: printing itself. The page is complete without it. */

import { hook } from "./dom.js";

const button = hook("print");

button.addEventListener("click", () => window.print());
button.hidden = false;
