/** Where one client lies beside the five profiles: a bar of shares for each, nearest first. */

import { AMOUNT_FIELDS } from "./applicant.js";
import { fetchModel, fetchPolicy } from "./api.js";
import { sharesBar, sharesLegend, sharesTable } from "./charts.js";
import { element, named } from "./dom.js";
import { nearestFirst, shares } from "./geometry.js";
import { formatRatio } from "./words.js";

/**
 * The plot for an applicant, or null when the model has no geometry or cannot be asked: the
 * answer is complete without it.
 */
export async function neighbourhood(applicant, evaluation) {
  const [model, policy] = await Promise.all([
    modelOf(evaluation.modelo),
    policyOf(evaluation.politica),
  ]).catch(() => []);
  if (!model?.centroides) return null;
  const amounts = AMOUNT_FIELDS.map(({ name }) => applicant[name]);
  const rows = profileRows(amounts, model.centroides, policy.perfis);
  return plot({ label: evaluation.nome, isName: true, shares: shares(amounts) }, rows);
}

// The picture of an old case is that of the model and the names that decided it.
async function modelOf(tag) {
  const current = await fetchModel().catch(() => null);
  return current?.tag === tag ? current : fetchModel(tag);
}

async function policyOf(version) {
  const current = await fetchPolicy();
  return current.versao === version ? current : fetchPolicy(version).catch(() => current);
}

function profileRows(amounts, centroids, profiles) {
  return nearestFirst(amounts, centroids).map(({ cluster, distance }) => ({
    label: profiles.find((profile) => profile.cluster === cluster)?.nome ?? `Perfil ${cluster}`,
    shares: shares(centroids[cluster]),
    note: `perfil ${cluster}, distância ${formatRatio(distance)}`,
  }));
}

function plot(client, rows) {
  const entries = [
    sharesRow("shares-row shares-client", { ...client, note: "este cliente" }),
    ...rows.map((row) => sharesRow("shares-row", row)),
  ];
  const caption = "Participação de cada valor na soma dos cinco";
  return element(
    "section",
    { class: "answer-section", "data-neighbourhood": "" },
    element("h3", {}, "Este cliente ao lado dos cinco perfis"),
    element("p", { class: "quiet" }, `${caption}. Os perfis vêm do mais próximo ao mais distante.`),
    sharesLegend(),
    element("ul", { class: "shares" }, ...entries),
    element(
      "details",
      {},
      element("summary", {}, "Ver em números"),
      sharesTable(caption, [client, ...rows]),
    ),
  );
}

function sharesRow(look, { label, isName, shares: values, note }) {
  return element(
    "li",
    { class: look },
    element(
      "div",
      { class: "shares-label" },
      element("strong", {}, isName ? named(label) : label),
      element("span", {}, note),
    ),
    sharesBar(values, label),
  );
}
