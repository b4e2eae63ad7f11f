// The page in a real browser, from a file, with the network refused. REPORT_HTML names a page with data in it; without it the built page gets
// the sample. SCREENSHOTS names a folder for pictures. CHROMIUM names the browser.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { after, before } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { dataOf, withData } from "../sample/inject.mjs";

const here = (path) => new URL(path, import.meta.url);
const given = process.env.REPORT_HTML;
const built = here("../dist/index.html");
if (!given && !existsSync(built)) throw new Error("web/dist/index.html is missing; run npm run build");
const html = given
  ? readFileSync(given, "utf8")
  : withData(readFileSync(built, "utf8"), readFileSync(here("../sample/report.json"), "utf8"));
const data = dataOf(html);
const isNumber = (v) => typeof v === "number" && Number.isFinite(v);

const PATIENCE = 120_000; // ms; a machine that others share can stand still for longer than Playwright's 30 s
const DEADLINE = 60_000; // ms for one condition
const folder = mkdtempSync(join(tmpdir(), "vernier-report-"));
let context;

before(async () => {
  context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    chromiumSandbox: false,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    viewport: { width: 1280, height: 900 },
    acceptDownloads: true,
    timeout: PATIENCE,
  });
  context.setDefaultTimeout(PATIENCE);
});

after(async () => {
  await context?.close();
  // The browser's last processes may still write to their profile.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

/** Runs `check` until its assertions hold: what an action sets off comes when the machine finds the time. */
async function eventually(check) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      // The last assertion that failed says what was seen.
      if (!(error instanceof assert.AssertionError) || Date.now() > end) throw error;
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Until frames were drawn and events delivered: before it, what must not happen may just not have happened yet. */
const settled = (page) =>
  page.evaluate(async () => {
    await document.fonts.ready;
    for (let i = 0; i < 3; ++i) await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
  });

/** No complaint of the page, now that all it does has been done. */
async function expectNoProblems({ page, problems }, expected = () => false) {
  await settled(page);
  assert.deepEqual(
    problems.filter((problem) => !expected(problem)),
    [],
  );
}

/** Opens `text` as a file; fails on errors, and on any request beyond the file and its inline data. */
async function open(text, { width = 1280, scheme = "light" } = {}) {
  const path = join(folder, `page${Math.random().toString(36).slice(2)}.html`);
  writeFileSync(path, text);
  const url = pathToFileURL(path).href;
  const page = await context.newPage();
  const problems = [];
  page.on(
    "console",
    (message) => ["error", "warning"].includes(message.type()) && problems.push(`console: ${message.text()}`),
  );
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  page.on(
    "request",
    (request) =>
      request.url() !== url && !request.url().startsWith("data:") && problems.push(`request: ${request.url()}`),
  );
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width, height: 900 });
  await page.goto(url);
  await page.waitForSelector("#glossary, #unreadable");
  await page.waitForFunction(() => [...document.querySelectorAll(".canvas")].every((c) => c.querySelector("svg")));
  await settled(page); // a scroll bar that comes late narrows the charts, which are drawn again
  return { page, problems };
}

const marks = (page, section, name) =>
  page.locator(`#${section} svg .mark-${name.replaceAll(" ", "-")} :is(circle, line, path, rect)`).count();

/** Nothing reaches beyond the right edge of the window. */
const expectNoOverflow = (page) =>
  eventually(async () => {
    const beyond = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const charts = [...document.querySelectorAll(".canvas svg")];
      return {
        page: Math.max(0, scrollWidth - clientWidth),
        charts: charts.filter((s) => s.getBoundingClientRect().right > clientWidth + 1).length,
      };
    });
    assert.deepEqual(beyond, { page: 0, charts: 0 }, "pixels of the page, number of charts beyond the window");
  });

/** Opens or closes every disclosure, and waits for what opening makes. */
async function setAllDetails(page, open) {
  for (const details of await page.locator("details").all()) {
    if ((await details.evaluate((d) => d.open)) !== open) await details.locator("summary").click();
    await eventually(async () => {
      const state = await details.evaluate((d) => ({ open: d.open, filled: d.childElementCount > 1 }));
      assert.deepEqual(state, { open, filled: true });
    });
  }
  await settled(page);
}

test("every section of the data is drawn in full", async () => {
  const { page, problems } = await open(html);
  const { results, groups, diagnosis, plan } = data;
  assert.equal(await page.locator("h1").textContent(), data.title);
  assert.match(await page.locator(".lead").textContent(), /KL|nats|no plan/);
  if (results) {
    assert.equal(await page.locator("#results tbody tr").count(), results.rows.length);
    const heads = await page.locator("#results thead th").allTextContents();
    assert.ok(results.metrics.length > 0);
    for (const metric of results.metrics) assert.ok(heads.includes(metric.title), metric.title);
    const drawable = results.rows.filter((r) => r.kind !== "reference" && isNumber(r.bytes) && r.kl_nats > 0);
    assert.equal(await marks(page, "frontier", "models"), drawable.length);
    // The legend says what is uniform.
    const names = await page.locator("#frontier svg text").allTextContents();
    for (const row of drawable)
      assert.ok(names.includes(row.label.replace(/^uniform (gguf:)?/, "").replace(/, \d+ of \d+ as .*$/, "*")), row.label);
    assert.equal(await marks(page, "frontier", "limit"), data.limit ? 1 : 0);
  }
  assert.equal(await page.locator("#limit tbody tr").count(), data.limit?.rows.length ?? 0);
  assert.equal(await page.locator("#second-round tbody tr").count(), data.refinement?.exchanges.length ?? 0);
  if (diagnosis) {
    const measured = diagnosis.components.filter((c) => isNumber(c.kl_nats));
    assert.equal(await marks(page, "sensitivity", "sensitivity cells"), measured.filter((c) => c.layer >= 0).length);
    assert.equal(await marks(page, "sensitivity", "components"), measured.filter((c) => c.kl_nats > 0).length);
    assert.equal(
      await marks(page, "sensitivity", "medians"),
      new Set(measured.filter((c) => c.kl_nats > 0).map((c) => c.kind)).size,
    );
    assert.ok((await marks(page, "sensitivity", "histogram bars")) > 0);
    const facts = new Set(diagnosis.weight_facts.flatMap((f) => Object.keys(f)));
    for (const name of ["tensor", "layer", "role", "kl_nats"]) facts.delete(name);
    const points = [...facts].flatMap((fact) =>
      diagnosis.weight_facts.filter((f) => isNumber(f[fact]) && f.kl_nats > 0),
    );
    // A forecast compared with forecasts says nothing, and is left out.
    const foretold = new Set(diagnosis.components.filter((c) => c.foretold).map((c) => c.name));
    const measuredFacts = diagnosis.weight_facts.filter((f) => !foretold.has(f.tensor));
    const compared = measuredFacts.length >= 3 || diagnosis.rank_correlation.length > 0;
    assert.equal(await marks(page, "weight-facts", "weight facts"), compared ? points.length : 0);
    if (diagnosis.joint) assert.match(await page.locator("#joint p").textContent(), /sum to/);
  }
  const diagnosed = diagnosis?.groups ?? [];
  if (diagnosed.length > 1) {
    const rows = Math.min(24, diagnosis.components.length);
    assert.equal(await marks(page, "component-groups", "component groups"), rows * diagnosed.length);
    const text = await page.locator("#component-groups").textContent();
    for (const { name } of diagnosed) assert.ok(text.includes(name), name);
    const sure = diagnosis.group_profiles.components.filter((c) => c.p <= 0.05);
    if (sure.length > 0) assert.match(text, new RegExp(`${sure.length} of \\d+ components .*The most different is`));
    else assert.doesNotMatch(text, /The most different is/);
  }
  if (groups) {
    const values = groups.rows.flatMap((r) => [r.kl_nats, r.delta_nll_nats_per_document]).filter(isNumber);
    assert.equal(await marks(page, "groups", "groups"), values.length);
    await page.locator("#groups summary").click();
    await eventually(async () => {
      const heads = await page.locator("#groups thead th").allTextContents();
      assert.ok(groups.metrics.length > 0);
      for (const metric of groups.metrics) assert.ok(heads.includes(metric.title), metric.title);
    });
  }
  if (data.reliability) {
    const headlines = data.reliability.dimensions.filter((d) => d.headline);
    assert.equal(await page.locator("#reliability .headlines li").count(), headlines.length);
    for (const { key, summary, rows, diagrams, claim } of data.reliability.dimensions) {
      const part = page.locator(`#reliability-${key}`);
      assert.equal(await part.locator("li").count(), summary.length);
      assert.equal(await part.locator(".claim").count(), claim ? 1 : 0);
      assert.equal(await part.locator("tbody tr").count(), rows.filter((r) => !r.detail && r.group === "").length);
      const filled = diagrams.flatMap((d) => d.bins).filter((bin) => bin.examples > 0);
      assert.equal(await part.locator("svg .mark-bins rect").count(), filled.length);
    }
  }
  if (data.finetune) {
    const { groups: trained, curves, models } = data.finetune;
    assert.equal(await marks(page, "finetune", "mended"), trained.length);
    assert.equal(await page.locator("#finetune svg .mark-training path").count(), 2 * curves.length);
    assert.equal(await page.locator("#finetune tbody tr").count(), trained.length + 1);
    const said = await page.locator("#finetune .finetune-sentences").textContent();
    const worse = trained.filter((g) => g.change.kl_nats.low > 0).map((g) => g.name);
    if (worse.length > 0) assert.ok(said.includes(`Worse off than without training: ${worse.join(", ")}.`), said);
    else assert.match(said, /No group is shown to be worse off/);
    assert.equal(await page.locator("#finetune tr.worse-off").count(), worse.length);
    const heads = await page.locator("#finetune thead th").allTextContents();
    for (const model of models) assert.ok(heads.includes(`loss, ${model}`), model);
  }
  if (data.activations) {
    const { facts, grids, caches } = data.activations;
    const cells = Object.keys(facts.sites).filter((name) => name.startsWith("L"));
    assert.equal(await marks(page, "activations", "activation cells"), cells.length, "a cell per site and layer");
    assert.ok((await marks(page, "activations", "activation bars")) > 0);
    assert.equal(await marks(page, "activations", "growth"), grids.length);
    const rows = Math.min(facts.outlier_features.length, 20) + 4 * grids.length + caches.length;
    assert.equal(await page.locator("#activations tbody tr").count(), rows);
  }
  const paid = (data.who_pays?.entries ?? []).filter((e) => e.chains.length > 0);
  if (paid.length > 0) {
    const firstUnit = (e) => paid.find((other) => other.data.name === e.data.name).unit;
    const first = paid.filter((e) => e.unit === firstUnit(e)); // of each set of data
    const many = first.filter((e) => e.attributes[0].groups.length >= 5);
    const groupsOf = (e) => e.attributes[0].groups.filter((g) => isNumber(g.figures.loss_nats?.change.value));
    assert.equal(
      await marks(page, "who-pays", "who pays"),
      first.flatMap(groupsOf).length,
      "a dot per group and model of the first unit of each data",
    );
    assert.equal(await marks(page, "who-pays", "who-pays-intervals"), first.flatMap(groupsOf).length);
    assert.equal(await page.locator("#who-pays .claims dt").count(), first.length);
    assert.equal(await page.locator("#chain .chain").count(), many.length);
    if (many.length < first.length) assert.match(await page.locator("#chain").textContent(), /nothing is judged/);
    const said = await page
      .locator("#chain .claim b")
      .evaluateAll((all) => all.map((b) => b.getAttribute("aria-label")));
    for (const verdict of new Set(many.flatMap((e) => e.chains[0].chain.steps.map((s) => s.verdict))))
      assert.ok(said.includes(verdict), verdict);
  }
  if (plan) {
    const sized = plan.entries.filter((e) => isNumber(e.bits_per_weight));
    assert.equal(await marks(page, "plan", "plan cells"), sized.filter((e) => e.layer >= 0).length);
    if (sized.some((e) => e.layer >= 0))
      assert.equal(await page.locator("#plan .chip").count(), sized.filter((e) => e.layer < 0).length);
    assert.equal(await page.locator("#plan tbody tr").count(), plan.entries.length);
  }
  await expectNoProblems({ page, problems });
  await page.close();
});

test("headings, captions and names for screen readers", async () => {
  const { page } = await open(html);
  assert.equal(await page.locator("h1").count(), 1);
  const unnamed = await page.evaluate(() => ({
    sections: [...document.querySelectorAll("section")].filter(
      (s) => !document.getElementById(s.getAttribute("aria-labelledby") ?? ""),
    ).length,
    tables: [...document.querySelectorAll("table")].filter((t) => !t.caption?.textContent).length,
    charts: [...document.querySelectorAll(".canvas svg")].filter((s) => !s.getAttribute("aria-label")).length,
    inputs: [...document.querySelectorAll("input")].filter((i) => i.labels?.length !== 1).length,
  }));
  assert.deepEqual(unnamed, { sections: 0, tables: 0, charts: 0, inputs: 0 });
  await page.close();
});

for (const width of [1280, 400])
  for (const scheme of ["light", "dark"])
    test(`no sideways scrolling at ${width} in ${scheme}`, async () => {
      const { page, problems } = await open(html, { width, scheme });
      await setAllDetails(page, true);
      await expectNoOverflow(page);
      await setAllDetails(page, false);
      if (process.env.SCREENSHOTS) {
        mkdirSync(process.env.SCREENSHOTS, { recursive: true });
        await page.evaluate(() => window.scrollTo(0, 0));
        await settled(page);
        await page.screenshot({
          path: resolve(process.env.SCREENSHOTS, `report-${width}-${scheme}.png`),
          fullPage: true,
        });
      }
      await expectNoProblems({ page, problems });
      await page.close();
    });

test("dark differs from light, and follows a change while open", async () => {
  const { page } = await open(html);
  const look = () =>
    page.evaluate(() => ({
      paper: getComputedStyle(document.body).backgroundColor,
      cell: document.querySelector(".mark-sensitivity-cells rect, .mark-plan-cells rect")?.getAttribute("fill"),
    }));
  const light = await look();
  await page.emulateMedia({ colorScheme: "dark" });
  // Charts are drawn again when the browser says so, which takes as long as it takes on a busy machine.
  await eventually(async () => {
    const dark = await look();
    assert.notEqual(dark.paper, light.paper);
    if (light.cell) assert.notEqual(dark.cell, light.cell);
  });
  await page.close();
});

test("prints in light, whatever the screen", async () => {
  const { page } = await open(html, { scheme: "dark" });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await eventually(async () => {
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(paper, "rgb(255, 255, 255)");
  });
  await page.close();
});

test("text contrast is at least 4.5 in both schemes", async () => {
  for (const scheme of ["light", "dark"]) {
    const { page } = await open(html, { scheme });
    const worst = await page.evaluate(() => {
      const luminance = (css) => {
        const [r, g, b] = css
          .match(/[\d.]+/g)
          .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const paper = luminance(getComputedStyle(document.body).backgroundColor);
      return Math.min(
        ...["p", ".muted", "figcaption", "caption", "thead th", "a", ".tile dt"].map((s) => {
          const element = document.querySelector(s);
          return element ? ratio(luminance(getComputedStyle(element).color), paper) : 21;
        }),
      );
    });
    assert.ok(worst >= 4.5, `${scheme}: ${worst}`);
    await page.close();
  }
});

test("hovering shows the numbers of a point", async () => {
  if (!data.diagnosis?.components.length) return;
  const { page, problems } = await open(html);
  const cell = page.locator("#sensitivity .mark-sensitivity-cells rect").first();
  await eventually(async () => {
    // Again each time: a chart that was drawn anew since has not seen the pointer come.
    await page.mouse.move(1, 1);
    await cell.hover();
    const tip = await page.evaluate(
      () => document.querySelector('#sensitivity [aria-label="tip"]')?.textContent ?? "no tip",
    );
    assert.match(tip, /nats per token/);
  });
  await expectNoProblems({ page, problems });
  await page.close();
});

/** As the filter of the plan's table reads it: every word somewhere in the row. */
function matches(entry, filter) {
  const text = [entry.tensor, entry.role, entry.scheme, entry.reason].join(" ").toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => text.includes(word));
}

test("the plan filters and sorts, details open, provenance is copied and saved", async () => {
  const { page, problems } = await open(html);
  if (data.plan?.entries.length) {
    const entry = data.plan.entries[0];
    const rows = page.locator("#plan tbody tr");
    const first = () => page.evaluate(() => document.querySelector("#plan tbody th")?.textContent ?? "no row");
    await page.fill("#plan-filter", entry.tensor);
    await eventually(async () => {
      assert.ok((await first()).includes(entry.tensor), await first());
      assert.equal(await rows.count(), data.plan.entries.filter((e) => matches(e, entry.tensor)).length);
    });
    await page.fill("#plan-filter", "no such tensor");
    await eventually(async () => assert.equal(await rows.count(), 0));
    await page.fill("#plan-filter", "");
    await eventually(async () => assert.equal(await rows.count(), data.plan.entries.length));
    await page.click("#plan thead button:has-text('Size')");
    const sizes = data.plan.entries.map((e) => e.bytes).filter(isNumber);
    const largest = data.plan.entries.find((e) => e.bytes === Math.max(...sizes));
    await eventually(async () => {
      assert.equal(await page.locator("#plan thead [aria-sort=descending]").count(), 1);
      assert.equal(await first(), largest.tensor);
    });
  }
  if (data.diagnosis?.components.length) {
    await page.click("#sensitivity summary");
    // Filled by the toggle event, which comes after the click.
    await eventually(async () =>
      assert.equal(await page.locator("#sensitivity details tbody tr").count(), data.diagnosis.components.length),
    );
  }
  await page.click("button:has-text('Copy provenance')");
  await eventually(async () => {
    const status = await page.evaluate(
      () => document.querySelector("#provenance [role=status]")?.textContent ?? "no status",
    );
    assert.match(status, /^(Copied as JSON|The browser refused)/);
  });
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("button:has-text('Save all data')")]);
  assert.deepEqual(JSON.parse(readFileSync(await download.path(), "utf8")), data);
  await expectNoProblems({ page, problems }, (problem) => problem.startsWith("request: blob:"));
  await page.close();
});

/** The report with every string, and every key of free maps, replaced by `text` plus a number. */
function withStrings(value, text, state = { n: 0 }) {
  if (typeof value === "string")
    return ["reference", "uniform", "plan"].includes(value) ? value : `${text}${state.n++}`;
  if (Array.isArray(value)) return value.map((v) => withStrings(v, text, state));
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => {
        if (k === "options" || k === "artefacts") return [k, { [`${text}key`]: `${text}value` }];
        if (k === "kind" && !["reference", "uniform", "plan"].includes(v)) return [k, v];
        return [k, withStrings(v, text, state)];
      }),
    );
  return value;
}

for (const hostile of [
  "</script><script>window.hurt=1</script>",
  "<img src=x onerror=window.hurt=1>",
  "<!--<script>",
  '"><svg onload=window.hurt=1>',
  "$& $1 __proto__",
  "constructor",
])
  test(`a hostile name is shown as text: ${hostile}`, async () => {
    const { page, problems } = await open(withData(html, JSON.stringify(withStrings(data, hostile))));
    assert.equal(await page.evaluate(() => window.hurt), undefined);
    assert.equal(await page.locator("img").count(), 0);
    assert.ok((await page.locator("h1").textContent()).startsWith(hostile));
    assert.ok((await page.locator("#provenance").textContent()).includes(`${hostile}key`));
    await expectNoOverflow(page);
    await expectNoProblems({ page, problems });
    await page.close();
  });

/** The report with every number null. */
const withoutNumbers = (value, key = "") =>
  typeof value === "number" && !["schema_version", "layer", "index"].includes(key)
    ? null
    : Array.isArray(value)
      ? value.map((v) => withoutNumbers(v))
      : value && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutNumbers(v, k)]))
        : value;

const zero = (value, key = "") =>
  typeof value === "number" && !["schema_version", "layer", "index", "bytes"].includes(key)
    ? 0
    : Array.isArray(value)
      ? value.map((v) => zero(v))
      : value && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, zero(v, k)]))
        : value;

const VARIANTS = {
  "no numbers": withoutNumbers(data),
  "all zero": zero(data),
  "no stages": { ...data, groups: null, diagnosis: null, plan: null, results: null },
  "empty lists": {
    ...data,
    results: { rows: [], budget_bytes: null },
    groups: { rows: [] },
    diagnosis: data.diagnosis && {
      ...data.diagnosis,
      components: [],
      differential_bias: [],
      weight_facts: [],
      rank_correlation: [],
      joint: null,
    },
    plan: data.plan && { ...data.plan, entries: [] },
  },
};
for (const [name, variant] of Object.entries(VARIANTS))
  test(`a thin report still reads: ${name}`, async () => {
    for (const width of [1280, 400]) {
      const { page, problems } = await open(withData(html, JSON.stringify(variant)), { width });
      await expectNoProblems({ page, problems });
      assert.equal(await page.locator("#provenance").count(), 1);
      const text = await page.locator("main").textContent();
      assert.doesNotMatch(text, /NaN|undefined|Infinity|\bnull\b/);
      await expectNoOverflow(page);
      await page.close();
    }
  });

test("component by group claims no more than its probabilities allow", async () => {
  const noise = structuredClone(JSON.parse(readFileSync(here("../sample/report.json"), "utf8")));
  noise.diagnosis.group_profiles.p = 0.4;
  for (const c of noise.diagnosis.group_profiles.components) c.p = 0.5;
  for (const c of noise.diagnosis.components) for (const g of Object.values(c.groups)) g.kl_nats_stderr = g.kl_nats;
  const { page, problems } = await open(withData(html, JSON.stringify(noise)));
  const text = await page.locator("#component-groups").textContent();
  assert.match(text, /Nothing here says that components hurt different groups/);
  assert.match(text, /not told from \d+ others/);
  assert.doesNotMatch(text, /The most different is/);
  await expectNoProblems({ page, problems });
  await page.close();
});

test("matrices of experts share a cell, which shows the worst of them", async () => {
  if (given || !data.diagnosis || !data.plan) return;
  const experts = structuredClone(data);
  const { components } = experts.diagnosis;
  const dense = components.filter((c) => c.tensor !== "ffn_up");
  const up = components.find((c) => c.tensor === "ffn_up" && c.layer === 0);
  const count = 40;
  const ofExpert = (e, kind, name) => ({ ...up, name, kind, index: kind === "expert" ? e : 0, tensor: kind === "tensor" ? "ffn_up" : null, kl_nats: e === 3 ? 9.5 : 1e-6 * (e + 1) });
  experts.diagnosis.components = [
    ...dense,
    ...Array.from({ length: count }, (_, e) => ofExpert(e, "expert", `L0.expert${e}`)),
    ...Array.from({ length: count }, (_, e) => ofExpert(e, "tensor", `L0.expert${e}.ffn_up`)),
    { ...up, name: "L0.route", kind: "router", tensor: null, index: 0 },
  ];
  const entry = experts.plan.entries.find((e) => e.layer === 0 && e.role === "ffn_up");
  experts.plan.entries = [
    ...experts.plan.entries.filter((e) => e !== entry),
    ...[3, 3, 3, 7].map((bits_per_weight, e) => ({ ...entry, tensor: `L0.expert${e}.ffn_up`, scheme: `s${bits_per_weight}`, bits_per_weight })),
  ];
  const { page, problems } = await open(withData(html, JSON.stringify(experts)));
  const labels = await page.locator("#sensitivity figure").first().locator("svg text").allTextContents();
  for (const label of ["worst expert", "router", "ffn_up"]) assert.ok(labels.includes(label), `${label} among ${labels}`);
  assert.ok(!labels.includes("router 0") && !labels.some((label) => /^expert \d/.test(label)));
  const alone = dense.filter((c) => c.layer >= 0).length;
  assert.equal(await marks(page, "sensitivity", "sensitivity cells"), alone + 3);
  const tips = async (section, cells) => {
    const found = [];
    for (let i = 0; i < cells; ++i) {
      await page.mouse.move(1, 1);
      await page.locator(`#${section} .mark-${section === "plan" ? "plan" : "sensitivity"}-cells rect`).nth(i).hover({ force: true }); // the cell's number lies over it
      found.push(await page.evaluate((s) => document.querySelector(`#${s} [aria-label="tip"]`)?.textContent ?? "", section));
    }
    return found;
  };
  await eventually(async () => {
    const shared = (await tips("sensitivity", alone + 3)).filter((tip) => tip.includes("the worst of 40"));
    assert.equal(shared.length, 2);
    for (const tip of shared) assert.match(tip, /L0\.expert3[\s\S]*KL 9\.5[\s\S]*the least is L0\.expert0/);
  });
  assert.match((await page.locator("#plan figure").first().locator("svg text").allTextContents()).join(" "), /\b4(\.0+)?\b/); // the mean of 3, 3, 3 and 7
  await eventually(async () => {
    const cells = await marks(page, "plan", "plan cells");
    const tip = (await tips("plan", cells)).find((t) => t.includes("and 3 more")) ?? "none";
    assert.match(tip, /3 × s3, 1 × s7/);
  });
  await expectNoProblems({ page, problems });
  await page.close();
});

test("a page about images speaks of images", async () => {
  if (given || !data.reliability) return;
  const alone = { ...structuredClone(data), diagnosis: null, results: null, plan: null, who_pays: null, finetune: null };
  const { page, problems } = await open(withData(html, JSON.stringify(alone)));
  const words = await page.locator("#glossary").textContent();
  assert.match(words, /over the classes of an image[\s\S]*Calibration error \(ECE\)[\s\S]*FGSM/);
  assert.doesNotMatch(words, /Perplexity|AUROC/, "words of texts, and of what the sample does not measure");
  assert.match(await page.locator("#reliability-attacks table").first().textContent(), /\b[\d.]+\/255/);
  await expectNoProblems({ page, problems });
  await page.close();
});

test("values that were searched otherwise are part of the distance", async () => {
  if (given || !data.results) return;
  const mixed = structuredClone(data);
  for (const row of mixed.results.rows) if (row.kind !== "reference") row.method = row.kind === "plan" ? "auto" : "importance";
  const told = /Values of the plan were searched by auto, those of the others by importance/;
  const { page } = await open(withData(html, JSON.stringify(mixed)));
  assert.match(await page.locator("#results").textContent(), told);
  await page.close();
  const uniform = mixed.results.rows.find((row) => row.kind === "uniform");
  uniform.method = "auto";
  const beside = await open(withData(html, JSON.stringify(mixed)));
  const words = await beside.page.locator("#results").textContent();
  assert.ok(words.includes(`Values of the plan and of ${uniform.label} were searched by auto`), words);
  await beside.page.close();
  for (const row of mixed.results.rows) row.method = "auto";
  const alike = await open(withData(html, JSON.stringify(mixed)));
  assert.doesNotMatch(await alike.page.locator("#results").textContent(), told);
  await alike.page.close();
});

test("a forecast that is off by depth is told so", async () => {
  if (given || !data.confirmation) return;
  const tilted = structuredClone(data);
  Object.assign(tilted.confirmation, { factor: 2, factor_log_slope: -2 * Math.log(3), factor_log_spread: 0.1 });
  const { page } = await open(withData(html, JSON.stringify(tilted)));
  const text = await page.locator("#confirmation > p").first().textContent();
  assert.match(text, /6(\.0+)? times what was foretold in the first and 0\.667 times in the last/);
  await page.close();
  tilted.confirmation.factor_log_slope = 0.1;
  const level = await open(withData(html, JSON.stringify(tilted)));
  assert.match(await level.page.locator("#confirmation > p").first().textContent(), /was 2(\.0+)? times what was foretold,/);
  await level.page.close();
});

test("a long table shows its first rows, and all when asked", async () => {
  if (given || !data.plan) return;
  const long = structuredClone(data);
  const entry = long.plan.entries.find((e) => e.layer >= 0);
  long.plan.entries = Array.from({ length: 700 }, (_, i) => ({ ...entry, tensor: `L0.expert${i}.ffn_up`, bytes: i }));
  const { page, problems } = await open(withData(html, JSON.stringify(long)));
  const rows = page.locator("#plan tbody tr");
  assert.equal(await rows.count(), 501);
  await page.locator("#plan thead button", { hasText: "Size" }).click(); // of all, not of those that are shown
  assert.match(await rows.first().textContent(), /expert699/);
  await page.locator("#plan-filter").fill("expert7");
  assert.equal(await rows.count(), 11); // 7 and 70 to 79
  await page.locator("#plan-filter").fill("");
  await page.getByRole("button", { name: "Show the other 200 rows" }).click();
  assert.equal(await rows.count(), 700);
  await expectNoProblems({ page, problems });
  await page.close();
});

test("warnings say what is wrong, and only then", async () => {
  const warned = structuredClone(data);
  warned.provenance.shared_token_runs = 3;
  if (warned.diagnosis) warned.diagnosis.control_kl_nats = 1e-5;
  const { page } = await open(withData(html, JSON.stringify(warned)));
  const text = await page.locator("#warnings").textContent();
  assert.match(text, /share 3 runs of 50 tokens/);
  if (warned.diagnosis) assert.match(text, /must be exactly 0/);
  await page.close();
  if (given) return;
  const mixed = await open(withData(html, JSON.stringify({ ...data, left_out: ["groups.json"] })));
  assert.match(await mixed.page.locator("#warnings").textContent(), /groups\.json is of another model/);
  await mixed.page.close();
  const replaced = structuredClone(data);
  Object.assign(replaced.plan, { label: "gguf:q3_k", lower_bound_kl_nats: null, gap: null });
  const uniform = await open(withData(html, JSON.stringify(replaced)));
  assert.match(await uniform.page.locator("#warnings").textContent(), /model\.gguf holds gguf:q3_k, not the plan/);
  const opening = await uniform.page.locator("#plan > p").first().textContent();
  assert.match(opening, /measured better than the plan/);
  assert.doesNotMatch(opening, /NaN|null|bound/);
  await uniform.page.close();
  const clean = await open(html);
  assert.equal(await clean.page.locator("#warnings").count(), 0);
  await clean.page.close();
});

test("what the plan is compared with is called what it is", async () => {
  const uniform = data.results?.rows.find((row) => row.kind === "uniform" && row.budget_fits);
  if (given || !uniform) return;
  const lead = async (report) => {
    const { page } = await open(withData(html, JSON.stringify(report)));
    const text = await page.locator(".lead").textContent();
    await page.close();
    return text;
  };
  const alike = structuredClone(data);
  alike.results.rows = alike.results.rows.filter((row) => row.kind !== "preset");
  assert.match(await lead(alike), /than the best uniform model \(/);
  const mixed = structuredClone(alike); // whichever drifts least is the rival
  mixed.results.rows.push({ ...uniform, kl_nats: uniform.kl_nats / 10, kind: "preset", label: "llama.cpp's q3_k_m" });
  const said = await lead(mixed);
  assert.match(said, /llama\.cpp's q3_k_m, the largest of its mixes/);
  assert.doesNotMatch(said, /uniform/);
});

test("the first sentence is of what the page holds", async () => {
  if (given) return;
  const bare = { ...structuredClone(data), results: null, groups: null, diagnosis: null, plan: null, who_pays: null, activations: null };
  const lead = async (report) => {
    const { page } = await open(withData(html, JSON.stringify(report)));
    const text = await page.locator(".lead").textContent();
    await page.close();
    return text;
  };
  assert.match(await lead({ ...bare, reliability: null }), /^Training with rounding in the loop changed the distance/);
  const still = structuredClone({ ...bare, reliability: null });
  for (const row of [still.finetune.all, ...still.finetune.groups])
    for (const change of Object.values(row.change)) Object.assign(change, { value: 0, low: 0, high: 0 });
  assert.match(await lead(still), /found nothing better than what it began with/);
  const { page } = await open(withData(html, JSON.stringify(still)));
  assert.match(await page.locator("#finetune").textContent(), /Nothing changed for any group/);
  assert.equal(await marks(page, "finetune", "mended"), 0, "no bars of no width");
  await page.close();
  assert.match(await lead({ ...bare, finetune: null }), /^Beside “|can be relied on/);
  const exact = structuredClone(data);
  exact.results.rows.find((row) => row.kind === "plan").kl_nats = 0;
  assert.match(await lead(exact), /answers exactly as the original does/);
  const source = structuredClone(data);
  source.plan.label = source.results.rows.find((row) => row.kind === "reference").label;
  assert.match(await lead(source), /^The original itself, .* fits into the budget/);
});

test("groups are named only as far as their errors tell them apart", async () => {
  if (given || !data.groups) return;
  const said = async (report) => {
    const { page } = await open(withData(html, JSON.stringify(report)));
    const text = await page.locator("#groups > p").first().textContent();
    await page.close();
    return text;
  };
  const noisy = structuredClone(data);
  for (const row of noisy.groups.rows) row.kl_nats_stderr = row.kl_nats;
  assert.match(await said(noisy), /errors do not tell from/);
  const sure = structuredClone(data);
  for (const row of sure.groups.rows) row.kl_nats_stderr = 1e-9;
  assert.doesNotMatch(await said(sure), /do not tell/);
});

test("what is missing comes last, whichever way a table is sorted", async () => {
  const components = data.diagnosis?.components;
  if (given || !components) return;
  const holes = structuredClone(data);
  holes.diagnosis.components[0].delta_nll_nats = null;
  const { page } = await open(withData(html, JSON.stringify(holes)));
  await page.locator("#sensitivity summary").last().click();
  const table = page.locator("#sensitivity table").last();
  const head = table.locator("thead button", { hasText: "ΔNLL" });
  for (let way = 0; way < 2; ++way) {
    await head.click();
    await eventually(async () =>
      assert.equal(await table.locator("tbody tr th").last().textContent(), holes.diagnosis.components[0].name),
    );
  }
  await page.close();
});

test("a page of who pays alone claims only what the intervals allow", async () => {
  if (!data.who_pays) return;
  const { who_pays, provenance } = structuredClone(data);
  const entry = who_pays.entries.findLast((e) => e.unit === who_pays.entries[0].unit);
  who_pays.entries = [entry];
  const alone = {
    schema_version: 1,
    title: "Who pays",
    provenance: { tool_version: "1", model: provenance.model },
    who_pays,
  };
  const lead = async () => {
    const { page, problems } = await open(withData(html, JSON.stringify(alone)));
    assert.deepEqual(await page.locator("main > section").evaluateAll((all) => all.map((s) => s.id)), [
      "who-pays",
      "chain",
      "provenance",
      "glossary",
    ]);
    const text = await page.locator(".lead").textContent();
    await expectNoProblems({ page, problems });
    await page.close();
    return text;
  };
  const groups = entry.attributes[0].groups;
  const gap = entry.attributes[0].gaps.loss_nats;
  for (const [i, group] of groups.entries()) group.figures.loss_nats.skew.verdict = i === 3 ? "exceeds" : "within";
  gap.spread.verdict = "exceeds";
  const sure = await lead();
  assert.ok(sure.includes(`exceeds that of all others for ${groups[3].name} by`), sure);
  assert.match(sure, /hurt unequally/);
  for (const group of groups) group.figures.loss_nats.skew.verdict = "undecided";
  gap.spread.verdict = "undecided";
  entry.all.figures.loss_nats.change.interval = [-0.1, 0.2];
  const unsure = await lead();
  assert.match(unsure, /no change is sure/);
  assert.match(unsure, /cannot tell/);
  assert.match(unsure, /not decided/);
  assert.doesNotMatch(unsure, /exceeds|hurt unequally: /);
});

test("any cell of the activations shows its distribution", async () => {
  if (!data.activations) return;
  const { sites } = data.activations.facts;
  const alone = {
    schema_version: 1,
    title: "Activations",
    provenance: { tool_version: "1", model: data.provenance.model },
    activations: data.activations,
  };
  const { page, problems } = await open(withData(html, JSON.stringify(alone)));
  assert.deepEqual(await page.locator("main > section").evaluateAll((all) => all.map((s) => s.id)), [
    "activations",
    "provenance",
    "glossary",
  ]);
  const words = await page.locator("#glossary").textContent();
  assert.match(words, /SQNR/);
  assert.doesNotMatch(words, /Random groups|Uniform model|Additivity/, "words that the page does not use");
  const caption = () => page.locator("#activations figcaption").allTextContents();
  const bars = (name) => sites[name].histogram.counts.filter((n) => n > 0).length;
  await page.locator("#activations select[aria-label='Site']").selectOption("keys");
  await page.locator("#activations select[aria-label='Layer']").selectOption("5");
  await eventually(async () => {
    assert.ok((await caption()).some((text) => text.startsWith("keys, layer 5.")));
    assert.equal(await marks(page, "activations", "activation bars"), bars("L5.keys"));
  });
  await page.locator("#activations select[aria-label='What the map shows']").selectOption("kurtosis");
  await eventually(async () => {
    const label = await page.locator("#activations .ramp-legend").getAttribute("aria-label");
    assert.match(label, /kurtosis/);
  });
  const cell = page.locator("#activations svg .mark-activation-cells rect").nth(3); // the first site, layer 3
  await cell.hover();
  await cell.click({ force: true });
  await eventually(async () => assert.ok((await caption()).some((text) => text.startsWith("q, k, v in, layer 3."))));
  await expectNoProblems({ page, problems });
  await page.close();
});

test("unreadable data is said, not hidden", async () => {
  const { page } = await open(html.replace(/(id="report-data">)[\s\S]*?(<\/script>)/, "$1{$2"));
  assert.match(await page.locator("#unreadable").textContent(), /could not be read/);
  await page.close();
});
