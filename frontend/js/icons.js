/** The few icons of the pages, drawn as paths of a 24 by 24 grid. */

import { vector } from "./dom.js";

const PATHS = {
  approved:
    "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.4 14.2-4-4 1.6-1.6 2.4 2.4 5.2-5.2 1.6 1.6Z",
  refused:
    "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm4.6 13-1.6 1.6-3-3-3 3L7.4 15l3-3-3-3L9 7.4l3 3 3-3L16.6 9l-3 3Z",
  manual: "M12 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10Zm0 12c5 0 9 2.6 9 6v2H3v-2c0-3.4 4-6 9-6Z",
  pending: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm1.2 10.6 4 2.4-1.1 1.9-5.1-3.1V6.5h2.2Z",
  note: "M12 2 1 21h22L12 2Zm-1.1 7h2.2v6h-2.2V9Zm0 7.6h2.2v2.2h-2.2v-2.2Z",
};

/** An icon that repeats what words beside it say, and so is hidden from screen readers. */
export function icon(name) {
  return vector(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    vector("path", { d: PATHS[name] ?? PATHS.pending }),
  );
}
