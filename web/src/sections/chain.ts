// The chain of causes, link by link, for each model: from changed activations to lost accuracy, and what foretells who pays.

import type { Report } from "../data";
import { disclosure, el, p, section, type Child } from "../dom";
import { isNumber, number } from "../format";
import { table } from "../table";
import { compared, type Chain, type ClaimVerdict, type Entry } from "../who_pays";

type Step = Chain["steps"][number];

/** What a link stands between, in the order of the causes. */
const NODES = ["Activations change", "Logits vary less", "Loss rises", "Accuracy falls"];
const LINKS = ["activations_lower_variance", "variance_explains_loss", "loss_explains_accuracy"];
const NOTES: Record<string, string> = {
  variance_falls: "share of groups in which it falls",
  rescaling_restores: "share of the loss that rescaling restores",
};
const AT: Record<string, number> = { variance_falls: 1, rescaling_restores: 2 };
const FORETELLS: Record<string, string> = {
  gradient_foretells: "gradient norm",
  curvature_foretells: "curvature",
  expansion_foretells: "second-order expansion",
  minorities_pay: "small size",
};
const SIGN: Record<ClaimVerdict, string> = { confirmed: "✓", refuted: "✗", undecided: "?" };

const missing = (step: Step | undefined): boolean => !step || !isNumber(step.value);

function judged(step: Step | undefined, what: string): HTMLElement {
  if (!step || missing(step)) return el("span", { class: "claim unmeasured", title: "not measured" }, what, " –");
  const range =
    isNumber(step.interval[0]) && isNumber(step.interval[1])
      ? `, ${number(step.interval[0], 2)} to ${number(step.interval[1], 2)}`
      : "";
  return el(
    "span",
    { class: `claim ${step.verdict}`, title: `${step.claim}: ${step.verdict}, ${number(step.value, 2)}${range}` },
    what,
    " ",
    number(step.value, 2),
    " ",
    el("b", { "aria-label": step.verdict }, SIGN[step.verdict] ?? SIGN.undecided),
  );
}

function drawn(entry: Entry, chain: Chain): HTMLElement {
  const steps = new Map(chain.steps.map((step) => [step.key, step]));
  const nodes: Child[] = NODES.flatMap((name, i) => {
    const notes = Object.entries(NOTES)
      .filter(([key]) => AT[key] === i)
      .map(([key, what]) => judged(steps.get(key), what));
    const node = el("li", { class: "node" }, el("span", null, name), ...notes);
    const link = LINKS[i];
    return link
      ? [
          node,
          el(
            "li",
            { class: "link" },
            judged(steps.get(link), "ρ"),
            el("span", { class: "arrow", "aria-hidden": true }),
          ),
        ]
      : [node];
  });
  return el(
    "div",
    { class: "chain" },
    el("h3", null, entry.label, " ", el("span", { class: `claim ${chain.verdict}` }, chain.verdict)),
    el("ol", null, ...nodes),
    el(
      "p",
      { class: "foretells" },
      "Goes with who pays: ",
      ...Object.entries(FORETELLS).map(([key, what]) => judged(steps.get(key), what)),
    ),
  );
}

function stepsTable(entries: { entry: Entry; chain: Chain }[]): HTMLElement {
  const rows = entries.flatMap(({ entry, chain }) =>
    chain.steps.filter((step) => !missing(step)).map((step) => ({ label: entry.label, step })),
  );
  return table<(typeof rows)[number]>(
    "Every measured link",
    [
      { head: "Model", cell: (r) => r.label, key: (r) => r.label },
      { head: "Claim", wide: true, cell: (r) => r.step.claim, key: (r) => r.step.claim },
      { head: "Groups", numeric: true, cell: (r) => number(r.step.groups), key: (r) => r.step.groups },
      { head: "Value", numeric: true, cell: (r) => number(r.step.value, 2), key: (r) => r.step.value },
      {
        head: "Interval",
        numeric: true,
        cell: (r) => `${number(r.step.interval[0], 2)} to ${number(r.step.interval[1], 2)}`,
      },
      { head: "p", numeric: true, cell: (r) => number(r.step.p, 2), key: (r) => r.step.p },
      { head: "Verdict", cell: (r) => r.step.verdict, key: (r) => r.step.verdict },
    ],
    rows,
  ).element;
}

export function chainOfCauses(report: Report): HTMLElement | null {
  const entries = compared(report.who_pays);
  const first = entries[0];
  const name = first?.chains[0]?.attribute;
  const chains = entries
    .filter((entry) => entry.unit === first?.unit)
    .map((entry) => ({ entry, chain: entry.chains.find((c) => c.attribute === name)?.chain }))
    .filter(
      (c): c is { entry: Entry; chain: Chain } => c.chain !== undefined && c.chain.steps.some((step) => !missing(step)),
    );
  if (chains.length === 0) return null;
  return section(
    "chain",
    "The chain of causes",
    p(
      `Whether damage takes the path that the literature claims, judged over the groups of ${name}: ρ is the rank correlation of what stands on both sides of an arrow. `,
      "A link is confirmed (✓) or refuted (✗) only if its interval and a permutation test say so; few groups leave most undecided (?).",
    ),
    ...chains.map(({ entry, chain }) => drawn(entry, chain)),
    disclosure("Links as a table", () => stepsTable(chains)),
  );
}
