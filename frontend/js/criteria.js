/** The page *Critérios*: the policy in force, and the five profiles in words and a picture. */

import { decisionBadge, definitions } from "./answer.js";
import { fetchModel, fetchPolicy } from "./api.js";
import { sharesBar, sharesLegend, sharesTable } from "./charts.js";
import { element, endLoading, fill, hook } from "./dom.js";
import { shares } from "./geometry.js";
import { problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { formatCount, formatDay, formatRatio, formatShare } from "./words.js";

const CAPTION = "Participação de cada valor na soma dos cinco, no centro de cada perfil";

show();

async function show() {
  const place = hook("criteria");
  try {
    const [policy, model] = await Promise.all([fetchPolicy(), modelOrNone()]);
    fill(place, version(policy), profiles(policy.perfis, model), persons(policy));
    place.dataset.state = "shown";
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    place.dataset.state = "problem";
    fill(place, ...problemBlocks(problem, show));
  }
  endLoading();
}

// The words of the policy are complete without the model's picture.
function modelOrNone() {
  return fetchModel().catch(() => ({ centroides: null, tamanhos: null }));
}

function version({ nome, versao, vigente_desde: since }) {
  return definitions("facts panel", [
    ["Política", nome],
    ["Versão", element("code", {}, versao)],
    ["Em vigor desde", formatDay(since)],
  ]);
}

function profiles(policyProfiles, { centroides, tamanhos }) {
  const rows = policyProfiles.map((profile) => profileRow(profile, centroides, tamanhos));
  return element(
    "section",
    { class: "criteria-section" },
    element("h2", {}, "Os cinco perfis"),
    element(
      "p",
      { class: "quiet" },
      "O modelo compara como os cinco valores se repartem, e não o tamanho deles: um cliente de gastos pequenos e outro de gastos grandes podem ter o mesmo perfil.",
    ),
    centroides ? sharesLegend() : null,
    element("ul", { class: "panel profiles" }, ...rows),
    centroides ? profilesTable(policyProfiles, centroides) : null,
  );
}

function profileRow({ cluster, nome, frase, decisao }, centroids, sizes) {
  return element(
    "li",
    { class: "profile", "data-profile": cluster },
    element("div", {}, ruleHead(`${cluster} · ${nome}`, decisao), element("p", {}, frase)),
    element(
      "div",
      {},
      centroids ? sharesBar(shares(centroids[cluster]), nome) : null,
      sizes ? element("p", { class: "quiet profile-size" }, sizeWords(sizes, cluster)) : null,
    ),
  );
}

function sizeWords(sizes, cluster) {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return `${formatShare(sizes[cluster] / total)} dos clientes do treino (${formatCount(sizes[cluster])} de ${formatCount(total)})`;
}

function profilesTable(policyProfiles, centroids) {
  const rows = policyProfiles.map(({ cluster, nome }) => ({
    label: nome,
    shares: shares(centroids[cluster]),
  }));
  return element(
    "details",
    {},
    element("summary", {}, "Ver em números"),
    element("p", { class: "quiet" }, `${CAPTION}.`),
    sharesTable(CAPTION, rows),
  );
}

function persons({ fronteira, faixa }) {
  const least = formatRatio(fronteira.confianca_minima);
  const limits = faixa.limites.map(({ frase }) => element("li", {}, frase));
  return element(
    "section",
    { class: "criteria-section" },
    element("h2", {}, "Quando uma pessoa decide"),
    element(
      "ul",
      { class: "panel profiles" },
      rule("Perto da fronteira", fronteira, `Confiança abaixo de ${least}, de 0 a 1.`),
      rule(
        "Fora do que o modelo conhece",
        faixa,
        "Algum valor além destes limites:",
        element("ul", { class: "limits" }, ...limits),
      ),
    ),
  );
}

function rule(title, { frase, decisao }, condition, ...more) {
  return element(
    "li",
    { class: "profile" },
    element("div", {}, ruleHead(title, decisao), element("p", {}, frase)),
    element("div", {}, element("p", {}, condition), ...more),
  );
}

function ruleHead(title, decision) {
  return element("div", { class: "rule-head" }, element("h3", {}, title), decisionBadge(decision));
}
