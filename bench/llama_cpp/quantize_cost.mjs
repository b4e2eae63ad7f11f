// node quantize_cost.mjs LLAMA_BIN F32.gguf VERNIER MODEL TEXT OUT [SCHEME...]
//
// What quantizing costs: CPU seconds of `vernier calibrate` and `vernier export --method METHOD` beside those of
// llama-imatrix and llama-quantize on the same 100 windows of 512 tokens of TEXT. LLAMA_BIN is the folder of llama.cpp's
// programs, MODEL the Hugging Face folder of which F32.gguf is a copy, OUT a folder for what is written. All on one thread
// (THREADS): several wait for each other in busy loops. Build llama.cpp for this machine (cmake -DGGML_NATIVE=ON).
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

const WINDOWS = 100;
const CONTEXT = 512;
const BAR = 6; // times theirs
const TYPES = { "gguf:q2_k": "Q2_K", "gguf:q3_k": "Q3_K", "gguf:q4_k": "Q4_K", "gguf:q5_k": "Q5_K", "gguf:q6_k": "Q6_K" };

const [llama, f32, vernier, model, text, out, ...wanted] = process.argv.slice(2);
const schemes = wanted.length > 0 ? wanted : ["gguf:q4_k"];
const threads = process.env.THREADS ?? "1";
const method = process.env.METHOD ?? "gptq";
if (!out || schemes.some((scheme) => !(scheme in TYPES))) {
  console.error("usage: node quantize_cost.mjs LLAMA_BIN F32.gguf VERNIER MODEL TEXT OUT [SCHEME...]");
  console.error(`schemes: ${Object.keys(TYPES).join(" ")}`);
  process.exit(2);
}
mkdirSync(out, { recursive: true });

/** User and system seconds of a program. */
function cpu_seconds(...command) {
  const timed = 'TIMEFORMAT="seconds %U %S"; time "$@" 2>&1 >/dev/null || echo failed';
  const { stderr, stdout } = spawnSync("bash", ["-c", timed, "-", ...command.map(String)], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const [, user, system] = /^seconds ([\d.]+) ([\d.]+)$/m.exec(stderr) ?? [];
  if (!user || /^failed$/m.test(stdout)) throw new Error(`${command.join(" ")}: ${stdout}${stderr}`);
  return Number(user) + Number(system);
}

const calibration = `${out}/calibration.safetensors`;
const imatrix = `${out}/imatrix.gguf`;
const theirs_once = cpu_seconds(`${llama}/llama-imatrix`, "-m", f32, "-f", text, "-o", imatrix, "-c", CONTEXT, "--chunks",
  WINDOWS, "-t", threads, "-tb", threads);
const ours_once = cpu_seconds(vernier, "calibrate", model, "--calibration-text", text, "--context", CONTEXT, "--windows",
  WINDOWS, "--threads", threads, "-o", calibration);
console.log(`llama-imatrix ${theirs_once.toFixed(1)}, vernier calibrate ${ours_once.toFixed(1)} CPU s`);
for (const scheme of schemes) {
  const theirs = cpu_seconds(`${llama}/llama-quantize`, "--pure", "--imatrix", imatrix, f32, `${out}/theirs.gguf`,
    TYPES[scheme], threads);
  const ours = cpu_seconds(vernier, "export", model, "--scheme", scheme, "--method", method, "--calibration", calibration,
    "--threads", threads, "-o", `${out}/ours.gguf`);
  const ratio = (ours_once + ours) / (theirs_once + theirs);
  console.log(`${scheme}, ${method}: ours ${ours.toFixed(1)}, llama-quantize ${theirs.toFixed(1)} CPU s; with calibration ` +
    `${ratio.toFixed(2)} times theirs, bar ${BAR.toFixed(1)}, ${ratio <= BAR ? "reached" : "missed"}`);
}
