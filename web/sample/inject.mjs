// Puts a report's JSON into the page, as render_report of the C++ side does: "<" escaped, so that no string can end the script element.

const kData = /(<script type="application\/json" id="report-data">)([\s\S]*?)(<\/script>)/;

/** @param {string} html  @param {string} json  @returns {string} */
export function withData(html, json) {
  if (!kData.test(html)) throw new Error("the page has no report-data element");
  return html.replace(kData, (_, open, __, close) => open + json.replaceAll("<", "\\u003c") + close);
}

/** @param {string} html  @returns {any} */
export function dataOf(html) {
  return JSON.parse(kData.exec(html)?.[2] ?? "null");
}
