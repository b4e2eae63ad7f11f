import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";
import { withData } from "./sample/inject.mjs";

// `npm run dev` shows the sample; the built page keeps its placeholder, which the C++ side fills.
const samplePreview: Plugin = {
  name: "sample-preview",
  apply: "serve",
  transformIndexHtml: (html) => withData(html, readFileSync(new URL("sample/report.json", import.meta.url), "utf8")),
};

export default defineConfig({
  plugins: [samplePreview, viteSingleFile({ removeViteModuleLoader: true })],
  build: { target: "es2020", modulePreload: false, reportCompressedSize: false },
});
