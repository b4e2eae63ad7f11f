// Everything needed to make this report again, and to check that it is about the files at hand.

import type { Report } from "../data";
import { el, section, type Child } from "../dom";
import { count, countInWords, isNumber } from "../format";
import { ofImages } from "../unit";

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Refused or absent where the page is not a secure context: select a hidden field and ask the old way.
    const field = el("textarea", { class: "offscreen", "aria-hidden": true });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function actions(report: Report): HTMLElement {
  const status = el("span", { role: "status", class: "muted" });
  const copyButton = el("button", { type: "button" }, "Copy provenance");
  copyButton.addEventListener("click", () => {
    void copy(JSON.stringify(report.provenance, null, 2)).then((done) => {
      status.textContent = done ? "Copied as JSON." : "The browser refused to copy.";
    });
  });
  const saveButton = el("button", { type: "button" }, "Save all data as JSON");
  saveButton.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(report, null, 2), "\n"], { type: "application/json" }));
    el("a", { href: url, download: "report.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  return el("p", { class: "actions" }, copyButton, saveButton, status);
}

function list(title: string, pairs: [string, Child][]): HTMLElement {
  const present = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "div",
    { class: "facts" },
    el("h3", null, title),
    el("dl", null, ...present.flatMap(([term, value]) => [el("dt", null, term), el("dd", null, value)])),
  );
}

const hash = (text: string | null | undefined) => (text ? el("code", { class: "hash" }, text) : null);
const numeric = (value: unknown) => (isNumber(value) ? count(value) : null);

export function provenance(report: Report): HTMLElement {
  const { model, calibration, evaluation, groups, options, artefacts, ...run } = report.provenance;
  return section(
    "provenance",
    "Provenance",
    actions(report),
    el(
      "div",
      { class: "fact-columns" },
      list("Model", [
        ["Name", model.name],
        ["Hash", hash(model.hash)],
        ["Family", model.family],
        [
          "Parameters",
          isNumber(model.parameters) ? `${count(model.parameters)} (${countInWords(model.parameters)})` : null,
        ],
        ["Layers", numeric(model.layers)],
        [
          "Heads",
          isNumber(model.heads)
            ? `${model.heads}${isNumber(model.kv_heads) ? `, ${model.kv_heads} of keys and values` : ""}`
            : null,
        ],
        ["Hidden size", numeric(model.hidden)],
        ["Vocabulary", numeric(model.vocabulary)],
      ]),
      list("Run", [
        ["Vernier", run.tool_version],
        ["libtorch", run.libtorch],
        ["Seed", isNumber(run.seed) ? String(run.seed) : null],
        [ofImages() ? "Shared images" : "Shared 50-token runs", numeric(run.shared_token_runs)],
      ]),
      calibration &&
        list(ofImages() ? "Calibration images" : "Calibration text", [
          ["Name", calibration.name],
          ["Images", numeric(calibration.images)],
          ["Held back from the evaluation", calibration.held_back ? numeric(calibration.held_back) : null],
          ["Tokens", numeric(calibration.tokens)],
          ["Windows", numeric(calibration.windows)],
          ["Hash", hash(calibration.hash)],
        ]),
      evaluation &&
        list(ofImages() ? "Evaluation images" : "Evaluation text", [
          ["Name", evaluation.name],
          ["Images", numeric(evaluation.images)],
          ["Tokens", numeric(evaluation.tokens)],
          ["Windows", numeric(evaluation.windows)],
          ["Context", isNumber(evaluation.context) ? `${count(evaluation.context)} tokens` : null],
          ["Hash", hash(evaluation.hash)],
        ]),
      groups &&
        list("Documents by group", [
          ["Name", groups.name],
          ["Tokens", numeric(groups.tokens)],
          ["Windows", numeric(groups.windows)],
          ["Context", isNumber(groups.context) ? `${count(groups.context)} tokens` : null],
          ["Hash", hash(groups.hash)],
        ]),
      list(
        "Options",
        Object.entries(options ?? {}).map(([key, value]) => [key, el("code", null, asText(value))]),
      ),
      artefacts &&
        list(
          "Artefacts",
          Object.entries(artefacts).map(([key, value]) => [key, hash(value)]),
        ),
    ),
  );
}
