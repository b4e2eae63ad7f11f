// The title and one sentence for somebody who reads nothing else.

import { activationsSentence } from "../activations";
import { budgetBytes, comparison, verdict, type Report } from "../data";
import { append, code, el, p } from "../dom";
import { claims, dataSets } from "../who_pays";
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
  const squeezed =
    reference && isNumber(reference.bytes)
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
        ? `${number(reference.bytes / plan.bytes, 2)} times smaller than the original`
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
        `Throughout, “±” is one standard error over ${ofImages() ? "images" : "windows of text"}, and error bars span two in each direction. `,
        "Terms are explained in the ",
        el("a", { href: "#glossary" }, "glossary"),
        "; ",
        code("KL"),
        " is the main measure, and 0 means “indistinguishable from the original”.",
      ),
    ]);
  return header;
}
