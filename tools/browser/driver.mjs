// Drives Chromium for the tests: a JSON command a line in, a JSON answer a line out. See crates/testkit/src/browser.rs.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const modules = process.env.IRCNOW_NODE_MODULES;
const require = createRequire(join(modules, 'driver.cjs'));
const { chromium } = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');
const options = JSON.parse(process.env.IRCNOW_BROWSER ?? '{}');

const rules = Object.entries(options.hosts ?? {}).map(([name, address]) => `MAP ${name} ${address}`).join(',');
const browser = await chromium.launch({
  executablePath: process.env.IRCNOW_CHROMIUM,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...(rules ? [`--host-resolver-rules=${rules}`] : []),
  ],
});
const context = await browser.newContext({
  ignoreHTTPSErrors: options.ignoreCertificates ?? false,
  javaScriptEnabled: options.javaScript ?? true,
  colorScheme: 'dark',
  bypassCSP: options.bypassCSP ?? false,
});
context.setDefaultTimeout(30_000);
let page = await context.newPage();

const isSelector = (text) => /^[#.[]|^[a-z]+[.#[]/.test(text);

async function named(what) {
  if (isSelector(what)) return page.locator(what).first();
  for (const role of ['button', 'link', 'tab', 'radio', 'checkbox']) {
    const found = page.getByRole(role, { name: what, exact: true });
    if (await found.count()) return found.first();
  }
  return page.getByText(what, { exact: true }).first();
}

const commands = {
  goto: async ({ url }) => (await page.goto(url))?.status() ?? 0,
  open: async ({ url }) => {
    page = await context.newPage();
    return (await page.goto(url))?.status() ?? 0;
  },
  pages: async () => context.pages().length,
  page: async ({ index }) => {
    page = context.pages()[index];
    await page.bringToFront();
    return page.url();
  },
  fill: async ({ field, value }) => {
    const target = isSelector(field) ? page.locator(field).first() : page.getByLabel(field, { exact: true }).first();
    await target.fill(value);
  },
  select: async ({ field, value }) => page.getByLabel(field, { exact: true }).first().selectOption(value),
  click: async ({ what }) => {
    await (await named(what)).click();
    await page.waitForLoadState('load');
  },
  press: async ({ key }) => page.keyboard.press(key),
  waitForText: async ({ text }) => page.getByText(text).first().waitFor({ state: 'visible' }),
  text: async ({ selector }) => page.locator(selector).first().innerText(),
  html: async () => page.content(),
  url: async () => page.url(),
  eval: async ({ script }) => page.evaluate(script),
  view: async ({ width, height, theme }) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
  },
  screenshot: async ({ path }) => {
    await page.screenshot({ path, fullPage: true });
  },
  axe: async () => {
    // Injected through the debugger, which the page's content security policy does not bind.
    await page.evaluate((await import('node:fs')).readFileSync(axe, 'utf8'));
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, args } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[command](args)) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
