/** Files dropped anywhere on the page land in its file field; the field itself stays the main way. */

/** Let `input` take dropped files; `onDrop` is called after each drop that brought any. */
export function acceptDrops(input, onDrop) {
  const page = document.documentElement;
  const mark = (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // or the browser leaves the page to open the file
    input.toggleAttribute("data-awaiting", event.type === "dragover");
  };
  page.addEventListener("dragover", mark);
  page.addEventListener("dragleave", mark);
  page.addEventListener("drop", (event) => {
    mark(event);
    if (!carriesFiles(event)) return;
    input.files = event.dataTransfer.files;
    onDrop();
  });
}

function carriesFiles({ dataTransfer }) {
  return dataTransfer?.types.includes("Files") ?? false;
}
