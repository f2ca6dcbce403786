/** The page *Entrar*: by a one-time link, whose secret follows the # and is sent to nobody else. */

import { enter, fetchAccess } from "./api.js";
import { arrived, button, element, fill, hook } from "./dom.js";
import { problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";

const PROVIDER = "/entrar/oidc/inicio";

arrived();
const link = location.hash.slice(1);
// Neither the history nor a look over a shoulder needs it any more.
history.replaceState(null, "", location.pathname);
// A link that is pasted while this page is open changes what follows the # alone, and loads nothing.
addEventListener("hashchange", () => {
  if (location.hash !== "#main") location.reload();
});
offer();

async function offer() {
  try {
    const { aberto: open, nome: name, provedor: provider } = await fetchAccess();
    if (open || (name !== null && !link)) location.replace("/");
    else fill(hook("entry"), ...ways(provider));
  } catch (problem) {
    showProblem(problem);
  }
}

function ways(provider) {
  if (link) return [button("enter", "btn-primary", "Entrar com este link", useLink)];
  if (provider) {
    const look = { class: "btn btn-primary", href: PROVIDER, "data-provider": "" };
    return [element("a", look, "Entrar com a conta da empresa")];
  }
  return [element("p", {}, "Peça um link de entrada a quem cuida do serviço.")];
}

async function useLink() {
  try {
    await enter(link);
    location.replace("/");
  } catch (problem) {
    showProblem(problem);
  }
}

function showProblem(problem) {
  if (!(problem instanceof Problem)) throw problem;
  fill(hook("entry"), ...problemBlocks(problem, () => location.reload()));
}
