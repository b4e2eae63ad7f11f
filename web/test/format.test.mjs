// The formatters, compiled from TypeScript as Vite compiles them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { transformWithEsbuild } from "vite";

const source = readFileSync(new URL("../src/format.ts", import.meta.url), "utf8");
const { code } = await transformWithEsbuild(source, "format.ts", { sourcemap: false });
const f = await import(`data:text/javascript,${encodeURIComponent(code)}`);

/** Rows of [function, arguments, expected]. */
const CASES = [
  ["measured", [0.0334, 0.0002], "0.0334 ± 0.0002"],
  ["measured", [0.03342, 0.00012], "0.03342 ± 0.00012"], // an error of leading digit 1 keeps two
  ["measured", [0.0334, 0.00096], "0.0334 ± 0.0010"], // 0.00096 rounds to 0.001, whose digit is 1
  ["measured", [23.418, 0.231], "23.4 ± 0.2"],
  ["measured", [23.418, 0.231, 2], "23.42 ± 0.23"],
  ["measured", [1234.4, 30], "1234 ± 30"],
  ["measured", [-0.0012, 0.0005], "−0.0012 ± 0.0005"],
  ["measured", [-0.00001, 0.002], "0.000 ± 0.002"], // no "-0.000"
  ["measured", [3.14e-6, 2e-7], "(3.1 ± 0.2) × 10⁻⁶"],
  ["measured", [0, 3e-7], "(0 ± 3) × 10⁻⁷"],
  ["measured", [0.0334, null], "0.0334"],
  ["measured", [0, 0], "0"],
  ["measured", [null, 0.1], "–"],
  ["number", [0.033412], "0.0334"],
  ["number", [4.2], "4.20"],
  ["number", [9.999], "10.0"],
  ["number", [1.24e-5], "1.24 × 10⁻⁵"],
  ["number", [-1.24e9], "−1.24 × 10⁹"],
  ["number", [0], "0"],
  ["number", [NaN], "–"],
  ["number", [undefined], "–"],
  ["share", [0.9431], "94.3 %"],
  ["share", [0.9431, 0.0012], "94.31 ± 0.12 %"],
  ["share", [null], "–"],
  ["bytes", [0], "0 B"],
  ["bytes", [1023], "1023 B"],
  ["bytes", [14_784_921], "14.1 MiB"],
  ["bytes", [1_964_000_000], "1.83 GiB"],
  ["bytes", [null], "–"],
  ["count", [26214400], "26,214,400"],
  ["count", [999], "999"],
  ["countInWords", [32_062_976], "32.1 million"],
  ["countInWords", [7.24e9], "7.24 billion"],
  ["bits", [4.5], "4.50"],
  ["tick", [0.03], "0.03"],
  ["tick", [1e-5], "10⁻⁵"],
  ["tick", [3e-5], "3·10⁻⁵"],
  ["tick", [-2], "−2"],
  ["tick", [-5e-4], "−0.0005"],
  ["reduction", [0.0334, 0.0139], "58 %"],
];

for (const [name, args, expected] of CASES)
  test(`${name}(${args.map(String).join(", ")})`, () =>
    assert.equal(f[name](...args).replaceAll("\u00a0", " "), expected));
