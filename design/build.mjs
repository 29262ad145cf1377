// Fills dist/ with the Latin subsets of the fonts, each under the hash of its content, and fonts.css that names them.
// Run `npm ci && npm run build` here. Nothing else needs a build: `service::assets` joins tokens, base, components and
// scripts by itself, and without dist/ the pages use the fallback fonts of tokens.css.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

// The optical size axis is kept only where headlines need it: the roman and italic of Newsreader.
const faces = [
  { family: "Newsreader", pkg: "newsreader", file: "newsreader-latin-opsz-normal", weight: "200 800", style: "normal" },
  { family: "Newsreader", pkg: "newsreader", file: "newsreader-latin-opsz-italic", weight: "200 800", style: "italic" },
  { family: "Outfit", pkg: "outfit", file: "outfit-latin-wght-normal", weight: "100 900", style: "normal" },
  { family: "JetBrains Mono", pkg: "jetbrains-mono", file: "jetbrains-mono-latin-wght-normal", weight: "100 800", style: "normal" },
];

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, "fonts"), { recursive: true });

let css = "";
for (const { family, pkg, file, weight, style } of faces) {
  const source = join(here, "node_modules", "@fontsource-variable", pkg, "files", `${file}.woff2`);
  if (!existsSync(source)) {
    console.error(`${source} is missing. Run: npm ci --prefix design`);
    process.exit(1);
  }
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 8);
  const name = `${file}.${hash}.woff2`;
  copyFileSync(source, join(dist, "fonts", name));
  css += `@font-face{font-family:"${family}";src:url(fonts/${name}) format("woff2");font-weight:${weight};font-style:${style};font-display:swap}\n`;
}
writeFileSync(join(dist, "fonts.css"), css);
console.log(`dist/: ${faces.length} fonts`);
