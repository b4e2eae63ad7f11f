// The title and one sentence for somebody who reads nothing else.

import { activationsSentence } from "../activations";
import { budgetBytes, comparison, heldInstead, verdict, type Finetune, type Reliability, type Report } from "../data";
import { append, code, el, p } from "../dom";
import { claims, dataSets, listed } from "../who_pays";
import { bytes, countInWords, isNumber, measured, number, reduction, share } from "../format";
import { natsPer, ofImages } from "../unit";

/** Of a page about groups alone: what is sure of the last model, whose damage is usually the greatest, on each data. */
function sentenceOfGroups(report: Report): string | null {
  const sets = dataSets(report.who_pays);
  const said = sets.map(({ name, first }) => {
    const last = first[first.length - 1]!;
    const attribute = last.attributes[0]!;
    if (sets.length === 1) return `With ${last.label}, by ${attribute.name}: ${claims(last, attribute).join(" ")}`;
    return `On ${name}, with ${last.label}: ${claims(last, attribute, false).join(" ")}`;
  });
  return said.length > 0 ? said.join(" ") : null;
}

/** Of a page about training alone. */
function sentenceOfTraining({ plan, all, groups, models }: Finetune): string {
  const change = all.change?.kl_nats;
  if (!change || !isNumber(change.value)) return `How “${plan}” did before and after training with rounding in the loop.`;
  if (change.value === 0 && change.low === 0 && change.high === 0)
    return `Training with rounding in the loop found nothing better than what it began with: “${plan}” stayed as it was.`;
  const of = (name: string) => {
    const own = all.models[models.indexOf(name)];
    return measured(own?.kl_nats, own?.kl_nats_stderr);
  };
  const worse = groups.filter((group) => (group.change?.kl_nats.low ?? 0) > 0).length;
  const sure = isNumber(change.low) && isNumber(change.high) && (change.low > 0 || change.high < 0);
  return (
    `Training with rounding in the loop changed the distance to full precision of “${plan}” from ${of("before")} to ${of("after")} nats at the same bytes` +
    (sure ? "" : ", which chance explains as well") +
    (groups.length > 0 ? `; of ${groups.length} groups ${worse === 0 ? "none is" : worse === 1 ? "one is" : `${worse} are`} shown to be worse off.` : ".")
  );
}

/** Of a page about reliability alone: in what dimensions models are shown to be better or worse than the first. */
function sentenceOfReliability({ data, models, dimensions }: Reliability): string {
  if (models.length < 2) return `How far “${models[0]}” can be relied on, on ${data.name}.`;
  const shown = (what: string) =>
    dimensions.flatMap(({ name, summary }) => {
      const some = summary.filter(({ comparison }) => comparison === what).length;
      return some > 0 ? [`${name.toLowerCase()} (${some} of ${summary.length})`] : [];
    });
  const worse = shown("worse"),
    better = shown("better");
  const rows = dimensions
    .flatMap((dimension) => dimension.rows)
    .filter((row) => !row.detail && row.models.some((model) => model.comparison === "worse")).length;
  return (
    `Beside “${models[0]}”, on ${data.name}, by the figure that stands for each dimension, ` +
    (worse.length > 0 ? `models are shown to be worse in ${listed(worse)}` : "no model is shown to be worse") +
    (better.length > 0 ? `, better in ${listed(better)}` : "") +
    (rows > 0 ? `; in the tables ${rows} ${rows === 1 ? "figure is" : "figures are"} worse for some model.` : ".")
  );
}

/** What the plan is compared with. */
function rivalOf(row: { kind: string; label: string }): string {
  return row.kind === "preset" ? `${row.label}, the largest of its mixes` : `the best uniform model (${row.label})`;
}

/** The sentence, from the data alone. */
export function sentence(report: Report): string {
  if (!report.results) {
    const groups = sentenceOfGroups(report);
    if (groups) return groups;
    if (report.activations) return activationsSentence(report.activations);
    if (report.finetune) return sentenceOfTraining(report.finetune);
    if (report.reliability) return sentenceOfReliability(report.reliability);
  }
  const { reference, plan, rival } = comparison(report);
  const budget = budgetBytes(report);
  if (!plan || !isNumber(plan.kl_nats)) {
    if (!rival) return "This report measures the model; it holds no plan and no quantized model to compare.";
    return (
      `At ${bytes(rival.bytes)}, ${rivalOf(rival)} within the budget drifts from the original by ` +
      `${measured(rival.kl_nats, rival.kl_nats_stderr)} ${natsPer()}; this report holds no measured plan.`
    );
  }
  const held = heldInstead(report);
  if (held && held.kind === "reference")
    return `The original itself, “${held.label}”, fits into the budget: model.gguf holds it as it is, ${bytes(held.bytes)}, and nothing more is lost.`;
  if (plan.kl_nats === 0)
    return `At ${bytes(plan.bytes)}, the planned model answers exactly as the original does: a KL divergence of 0.`;
  const squeezed =
    reference && isNumber(reference.bytes) && isNumber(plan.bytes) && plan.bytes < reference.bytes
      ? `Squeezed from ${bytes(reference.bytes)} to ${bytes(plan.bytes)}, the planned model`
      : `At ${bytes(plan.bytes)}, the planned model`;
  const own = `${measured(plan.kl_nats, plan.kl_nats_stderr)} ${natsPer()}`;
  if (!rival || !isNumber(rival.kl_nats))
    return `${squeezed} drifts from the original by a KL divergence of ${own}; no uniform model fits the budget of ${bytes(budget)}.`;
  const named = `${rivalOf(rival)} within ${isNumber(budget) ? `the same ${bytes(budget)}` : "the budget"}`;
  const evidence = `KL ${measured(plan.kl_nats, plan.kl_nats_stderr)} against ${measured(rival.kl_nats, rival.kl_nats_stderr)} ${natsPer()}`;
  switch (verdict(plan, rival)) {
    case "better":
      return `${squeezed} drifts ${reduction(rival.kl_nats, plan.kl_nats)} less from the original than ${named}: ${evidence}.`;
    case "worse":
      return `${squeezed} drifts more from the original than ${named}: ${evidence}.`;
    case "unclear":
      return `${squeezed} drifts about as far from the original as ${named}; the difference is within the error bars: ${evidence}.`;
  }
}

function tile(value: string, label: string, detail: string): HTMLElement {
  return el(
    "div",
    { class: "tile" },
    el("dt", null, label),
    el("dd", null, el("span", { class: "value" }, value), el("span", { class: "detail" }, detail)),
  );
}

export function headline(report: Report): HTMLElement {
  const { reference, plan, rival } = comparison(report);
  const model = report.provenance.model;
  const header = el(
    "header",
    { id: "headline" },
    el("p", { class: "eyebrow" }, "Vernier report"),
    el("h1", null, report.title),
    el(
      "p",
      { class: "byline" },
      model.name,
      isNumber(model.parameters) && `, ${countInWords(model.parameters)} parameters`,
      isNumber(model.layers) && `, ${model.layers} layers`,
      report.provenance.evaluation && `, measured on ${report.provenance.evaluation.name}`,
    ),
    el("p", { class: "lead" }, sentence(report)),
  );
  if (plan) {
    const smaller =
      reference && isNumber(reference.bytes) && isNumber(plan.bytes)
        ? reference.bytes / plan.bytes >= 1.05
          ? `${number(reference.bytes / plan.bytes, 2)} times smaller than the original`
          : "no smaller than the original"
        : "whole file";
    const beside = (text: string) => (rival ? `${text} for ${rival.label}` : "");
    append(header, [
      el(
        "dl",
        { class: "tiles", "aria-label": "The plan in four numbers" },
        tile(bytes(plan.bytes), "Size", smaller),
        tile(number(plan.kl_nats), `KL, ${natsPer()}`, beside(number(rival?.kl_nats))),
        tile(
          share(plan.same_top_share),
          ofImages() ? "Same class" : "Same first choice",
          beside(share(rival?.same_top_share)),
        ),
        ofImages()
          ? tile(
              share(plan.accuracy_share),
              "Accuracy",
              reference ? `${share(reference.accuracy_share)} for the original` : "",
            )
          : tile(
              number(plan.perplexity, 4),
              "Perplexity",
              reference ? `${number(reference.perplexity, 4)} for the original` : "",
            ),
      ),
    ]);
  }
  if (report.results || report.diagnosis)
    append(header, [
      p(
        `Throughout, “±” is one standard error over ${ofImages() ? "images" : "windows of text, of groups over their documents"}, and error bars span two in each direction. `,
        "Terms are explained in the ",
        el("a", { href: "#glossary" }, "glossary"),
        "; ",
        code("KL"),
        " is the main measure, and 0 means “indistinguishable from the original”.",
        report.plan?.target === "huggingface" &&
          " Sizes are of matrices in their schemes: the folder itself holds values as float32 and is no smaller than the original.",
      ),
    ]);
  return header;
}
