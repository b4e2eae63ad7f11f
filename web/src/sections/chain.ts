// The chain of causes, link by link, for each model: from changed activations to lost accuracy, and what foretells who pays.

import type { Report } from "../data";
import { disclosure, el, p, section, type Child } from "../dom";
import { count, isNumber, number } from "../format";
import { table } from "../table";
import { dataSets, ofAttribute, type Chain, type ClaimVerdict, type DataSet, type Entry } from "../who_pays";

type Step = Chain["steps"][number];
type Judged = { entry: Entry; chain: Chain };

/** What a link stands between, in the order of the causes. */
const NODES = ["Activations", "Variance of logits", "Loss", "Accuracy"];
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

function drawn({ entry, chain }: Judged, where: string): HTMLElement {
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
    el("h3", null, entry.label, where, " ", el("span", { class: `claim ${chain.verdict}` }, chain.verdict)),
    el("ol", null, ...nodes),
    el(
      "p",
      { class: "foretells" },
      "Goes with who pays: ",
      ...Object.entries(FORETELLS).map(([key, what]) => judged(steps.get(key), what)),
    ),
  );
}

function stepsTable(entries: Judged[]): HTMLElement {
  const rows = entries.flatMap(({ entry, chain }) =>
    chain.steps.filter((step) => !missing(step)).map((step) => ({ label: entry.label, step })),
  );
  return table<(typeof rows)[number]>(
    "Every measured link",
    [
      { head: "Model", cell: (r) => r.label, key: (r) => r.label },
      { head: "Claim", wide: true, cell: (r) => r.step.claim, key: (r) => r.step.claim },
      { head: "Groups", numeric: true, cell: (r) => count(r.step.groups), key: (r) => r.step.groups },
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

/** Of one set of data, each model's chain over the groups of its first attribute. */
function chainsOn({ first }: DataSet): Judged[] {
  const name = first[0]!.chains[0]?.attribute;
  return first
    .map((entry) => ({ entry, chain: entry.chains.find((c) => c.attribute === name)?.chain }))
    .filter((c): c is Judged => c.chain !== undefined && c.chain.steps.some((step) => !missing(step)));
}

/** Links over so few groups are all undecided. */
const FEWEST_GROUPS = 5;
const groupsOf = (chains: Judged[]) =>
  Math.max(...chains.flatMap(({ chain }) => chain.steps.map((s) => s.groups ?? 0)));

export function chainOfCauses(report: Report): HTMLElement | null {
  const sets = dataSets(report.who_pays)
    .map((set) => ({ set, chains: chainsOn(set) }))
    .filter(({ chains }) => chains.length > 0);
  if (sets.length === 0) return null;
  const told = sets.filter(({ chains }) => groupsOf(chains) >= FEWEST_GROUPS);
  const name = told[0]?.chains[0]?.entry.chains[0]?.attribute;
  return section(
    "chain",
    "The chain of causes",
    told.length > 0 &&
      p(
        `Whether damage takes the path that the literature claims, judged over the groups${ofAttribute(name ?? "group")}: ρ is the rank correlation of the changes of what stands on both sides of an arrow. `,
        "A link is confirmed (✓) or refuted (✗) only where its interval says so and, of a correlation, a permutation test as well; few groups leave most undecided (?).",
      ),
    ...told.flatMap(({ set, chains }) => [
      ...chains.map((each) => drawn(each, sets.length > 1 ? ` on ${set.name}` : "")),
      disclosure(sets.length > 1 ? `Links on ${set.name} as a table` : "Links as a table", () => stepsTable(chains)),
    ]),
    ...sets
      .filter((each) => !told.includes(each))
      .map(({ set, chains }) =>
        p(
          `Of ${set.name} nothing is judged: whether damage takes the path that the literature claims shows over at least ${count(FEWEST_GROUPS)} groups, and here are ${count(groupsOf(chains))}.`,
        ),
      ),
  );
}
