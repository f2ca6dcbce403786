/** The page *Critérios*: the policy in force or an earlier one, and the five profiles. */

import { decisionBadge, definitions } from "./answer.js";
import { fetchModel, fetchPolicy } from "./api.js";
import { sharesBar, sharesLegend, sharesTable } from "./charts.js";
import { formatMoney } from "./amounts.js";
import { arrived, element, endLoading, fill, hook, identifier } from "./dom.js";
import { shares } from "./geometry.js";
import { problemBlocks } from "./notice.js";
import { Problem } from "./problem.js";
import { formatBound, formatCount, formatDay, formatPercent, formatShare } from "./words.js";

const CAPTION = "Participação de cada valor na soma dos cinco, no centro de cada perfil";

arrived();
show();

async function show() {
  const place = hook("criteria");
  const asked = new URLSearchParams(location.search).get("versao");
  try {
    const [policy, model] = await Promise.all([fetchPolicy(asked), modelOrNone()]);
    if (asked) hook("which").textContent = "Como o sistema decidia, segundo uma política anterior.";
    fill(
      place,
      version(policy, asked),
      facts(policy),
      profiles(policy, model),
      persons(policy),
      promise(policy),
      earlier(policy),
    );
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

function version({ nome, versao, vigente_desde: since }, asked) {
  const current = element("a", { href: "/criterios.html" }, "Ver a política em vigor");
  return definitions("facts panel", [
    ["Política", nome],
    ["Versão", identifier(versao)],
    [asked ? "Vigente desde" : "Em vigor desde", formatDay(since)],
    ...(asked ? [["Anterior", current]] : []),
  ]);
}

function facts({ fatos: bounds, motivos: reasons }) {
  if (!bounds) return null;
  return section(
    "facts",
    "Os fatos do cliente",
    "Duas contas sobre os valores do próprio cliente: quanto do limite está em uso (saldo devedor dividido pelo limite) e quanto da dívida foi pago (pagamentos divididos pelo saldo devedor).",
    definitions("facts panel", [
      ["Uso alto", `a partir de ${formatPercent(bounds.uso_alto)} do limite`],
      ["Pouco pago", `abaixo de ${formatPercent(bounds.pouco_pago)} do saldo devedor`],
      ["Quase nada pago", `abaixo de ${formatPercent(bounds.quase_nada_pago)} do saldo devedor`],
      ["Conta como paga", `dívida de até ${formatMoney(bounds.quitado_ate)}`],
    ]),
    element("h3", { class: "list-title" }, "Motivos que uma decisão pode trazer"),
    element(
      "p",
      {},
      "Um motivo compara o cliente com uma referência da política, mais exigente do que os fatos. Quem decide são os fatos e o perfil.",
    ),
    element("ul", {}, ...reasons.map(({ frase }) => element("li", {}, frase))),
  );
}

function section(name, title, words, ...more) {
  return element(
    "section",
    { class: "criteria-section", [`data-section-${name}`]: "" },
    element("h2", {}, title),
    element("p", {}, words),
    ...more,
  );
}

function profiles({ perfis: policyProfiles, fatos: bounds }, { centroides, tamanhos }) {
  const rows = policyProfiles.map((profile) =>
    profileRow(profile, Boolean(bounds), centroides, tamanhos),
  );
  return element(
    "section",
    { class: "criteria-section" },
    element("h2", {}, "Os cinco perfis"),
    element(
      "p",
      { class: "quiet" },
      "O modelo compara a proporção entre os cinco valores, não o tamanho deles: um cliente de gastos pequenos e outro de gastos grandes podem ter o mesmo perfil.",
    ),
    centroides ? sharesLegend() : null,
    element("ul", { class: "panel profiles" }, ...rows),
    centroides ? profilesTable(policyProfiles, centroides) : null,
  );
}

function profileRow(profile, byFacts, centroids, sizes) {
  const { cluster, nome, frase, decisao } = profile;
  return element(
    "li",
    { class: "profile", "data-profile": cluster },
    element(
      "div",
      {},
      ruleHead(`${cluster} · ${nome}`, byFacts ? null : decisao),
      element("p", {}, frase),
      byFacts ? threeCases(profile) : null,
    ),
    element(
      "div",
      {},
      centroids ? sharesBar(shares(centroids[cluster]), nome) : null,
      sizes ? element("p", { class: "quiet profile-size" }, sizeWords(sizes, cluster)) : null,
    ),
  );
}

function threeCases({ decisao, decisao_se_nada_pago: unpaid, decisao_se_ruim: poor }) {
  return definitions("cases", [
    ["Fatos bons", decisionBadge(decisao)],
    ["Quase nada pago", decisionBadge(unpaid)],
    ["Uso alto e pouco pago", decisionBadge(poor)],
  ]);
}

function sizeWords(sizes, cluster) {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return `${formatShare(sizes[cluster] / total)} dos clientes do treinamento (${formatCount(sizes[cluster])} de ${formatCount(total)})`;
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
  const least = formatBound(fronteira.confianca_minima);
  const limits = faixa.limites.map(({ frase }) => element("li", {}, frase));
  return element(
    "section",
    { class: "criteria-section" },
    element("h2", {}, "Casos especiais"),
    element(
      "ul",
      { class: "panel profiles" },
      rule(
        "Perto da fronteira",
        fronteira,
        `Certeza do perfil abaixo de ${least}, numa escala de 0 a 1.`,
      ),
      rule(
        "Fora da faixa do modelo",
        faixa,
        "Basta um destes valores:",
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
  const badge = decision ? decisionBadge(decision) : null;
  return element("div", { class: "rule-head" }, element("h3", {}, title), badge);
}

function promise({ promessa: made }) {
  if (!made) return null;
  const borders = made.fronteiras.map((border) => element("li", {}, border));
  return section(
    "promise",
    "O que esta política promete",
    made.frase,
    element("p", { "data-promise": String(made.vale) }, promiseWords(made.vale)),
    borders.length > 0 ? element("ul", {}, ...borders) : null,
    element("p", {}, element("strong", {}, "Exceção conhecida. "), made.excecao),
  );
}

function promiseWords(holds) {
  if (holds === null) return "O modelo em serviço ainda não foi conferido.";
  if (holds) return "Conferida: vale para o modelo em serviço.";
  return "Não vale para o modelo em serviço: enquanto isso, nenhum pedido é recusado sem uma pessoa.";
}

function earlier({ versao: shown, versoes: versions }) {
  const others = (versions ?? []).filter(({ versao }) => versao !== shown);
  if (others.length === 0) return null;
  const entries = others.map(({ versao, nome, vigente_desde: since }) =>
    element(
      "li",
      {},
      element("a", { href: `/criterios.html?${new URLSearchParams({ versao })}` }, nome),
      element("span", { class: "quiet" }, `, vigente desde ${formatDay(since)}, versão `),
      identifier(versao),
    ),
  );
  return section(
    "earlier",
    "Outras políticas",
    "Cada decisão registrada continua explicada pela política que a tomou.",
    element("ul", {}, ...entries),
  );
}
