// Reads the data that stands in the page and shows one section after the other.

import "./style/colours.css";
import "./style/page.css";
import "./style/table.css";
import "./style/chart.css";
import "./style/controls.css";
import "./style/who_pays.css";
import "./style/print.css";
import { readReport, type Report } from "./data";
import { code, el, p, section } from "./dom";
import { activations } from "./sections/activations";
import { chainOfCauses } from "./sections/chain";
import { componentGroups } from "./sections/component_groups";
import { confirmation } from "./sections/confirmation";
import { finetune } from "./sections/finetune";
import { frontier } from "./sections/frontier";
import { glossary } from "./sections/glossary";
import { groups } from "./sections/groups";
import { headline } from "./sections/headline";
import { joint } from "./sections/joint";
import { limit } from "./sections/limit";
import { planSection } from "./sections/plan";
import { protection } from "./sections/protection";
import { provenance } from "./sections/provenance";
import { refinement } from "./sections/refinement";
import { reliability } from "./sections/reliability";
import { results } from "./sections/results";
import { sensitivity } from "./sections/sensitivity";
import { warnings } from "./sections/warnings";
import { weightFacts } from "./sections/weight_facts";
import { setUnit } from "./unit";
import { whoPays } from "./sections/who_pays";

const SECTIONS: ((report: Report) => HTMLElement | null)[] = [
  headline,
  warnings,
  results,
  frontier,
  limit,
  sensitivity,
  confirmation,
  refinement,
  joint,
  weightFacts,
  activations,
  componentGroups,
  groups,
  finetune,
  reliability,
  whoPays,
  chainOfCauses,
  planSection,
  protection,
  provenance,
];

function contents(sections: HTMLElement[]): HTMLElement {
  const links = sections
    .filter((s) => s.tagName === "SECTION" && s.id !== "warnings")
    .map((s) => el("li", null, el("a", { href: `#${s.id}` }, s.querySelector("h2")?.textContent ?? s.id)));
  return el("nav", { "aria-label": "Sections" }, el("ul", null, ...links));
}

function show(main: HTMLElement): void {
  const report = readReport();
  setUnit(report);
  document.title = report.title;
  const sections = SECTIONS.map((make) => make(report)).filter((s): s is HTMLElement => s !== null);
  sections.push(glossary(report, sections.map((s) => s.textContent ?? "").join("\n")));
  main.replaceChildren(...sections);
  sections[0]?.after(contents(sections));
  main.append(
    el(
      "footer",
      null,
      `Made by Vernier ${report.provenance.tool_version}. This file is complete: it loads nothing from the network.`,
    ),
  );
}

const main = document.getElementById("report")!;
try {
  show(main);
} catch (error) {
  main.replaceChildren(
    section(
      "unreadable",
      "This report cannot be shown",
      p(
        "Its data could not be read: ",
        code(error instanceof Error ? error.message : String(error)),
        ". Make it again with ",
        code("vernier report"),
        ".",
      ),
    ),
  );
  console.error(error);
}
