/**
 * Who is signed in, on every page: shown in its head, and offered nothing that their roles may not do.
 *
 * What needs a route names it in `data-needs`; a page that is of no use without one does so in
 * `data-page-needs`. The service refuses by itself: this spares people what it would refuse.
 */

import { fetchAccess, leave } from "./api.js";
import { button, element, fill, hook, named, onReturn } from "./dom.js";
import { Problem } from "./problem.js";

const ENTRY = "/entrar.html";

try {
  show(await fetchAccess());
} catch (problem) {
  if (!(problem instanceof Problem)) throw problem; // the page's own requests say what is wrong
}

function show({ aberto: open, nome: name, pode: allowed }) {
  if (!open && name === null) return location.replace(ENTRY);
  offerOnly(allowed);
  if (name !== null) {
    nameFor(name);
    onReturn(() => showAgainTo(name));
  }
  fill(hook("who"), ...(open ? ["Acesso aberto: ninguém precisa se identificar"] : signedIn(name)));
  if (isOfNoUse(allowed)) location.replace(firstOfUse());
}

// Who went away has left clients' names and amounts behind, for whoever goes back.
async function showAgainTo(person) {
  document.body.style.visibility = "hidden";
  const { nome: name } = await fetchAccess().catch(() => ({}));
  if (name !== person) return location.reload();
  document.body.style.visibility = "";
}

// Whoever signed in is who the service records, whatever else is sent: shown, and not asked for.
function nameFor(person) {
  for (const { name, parentElement: asked } of document.querySelectorAll("[data-person]")) {
    const sent = element("input", { type: "hidden", name, value: person });
    fill(asked, sent, element("p", { "data-signs": "" }, "Quem assina: ", named(person)));
  }
}

function signedIn(name) {
  return [named(name), " ", button("leave", "btn-link", "Sair", () => signOut(name))];
}

async function signOut(name) {
  try {
    await leave();
    location.assign(ENTRY);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const told = `Você ainda não saiu: ${problem.title}. Tente de novo. `;
    fill(hook("who"), element("strong", { role: "alert" }, told), ...signedIn(name));
  }
}

// A sheet and no search for elements: what is made later is kept back as well.
function offerOnly(allowed) {
  const known = allowed.map((route) => `:not([data-needs="${route}"])`).join("");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`[data-needs]${known} { display: none !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

function isOfNoUse(allowed) {
  const needed = hook("page-needs")?.dataset.pageNeeds;
  return needed !== undefined && !allowed.includes(needed);
}

function firstOfUse() {
  const links = [...document.querySelectorAll(".site-nav li")];
  return links.find((item) => item.checkVisibility()).querySelector("a").href;
}
