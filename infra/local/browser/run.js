// Drives a headless Chromium for the tests: one JSON request a line on standard input, one JSON answer a line on standard
// output. Requests: {"page": address, "call": expression} evaluates in a page, which is opened the first time; without a call,
// the page is loaded again.
'use strict'

const { createRequire } = require('module')
const path = require('path')
const readline = require('readline')
const { chromium } = createRequire(path.join(process.argv[2], 'package.json'))('playwright-core')

async function main() {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'],
  })
  const pages = new Map()
  const answer = (id, value) => process.stdout.write(JSON.stringify({ id, ...value }) + '\n')
  const evaluate = async ({ id, page: address, call }) => {
    try {
      if (!pages.has(address)) {
        const page = await browser.newPage()
        pages.set(address, page)
        await page.goto(address)
      }
      const page = pages.get(address)
      answer(id, { result: call ? await page.evaluate(call) : await page.reload().then(() => null) })
    } catch (error) {
      answer(id, { error: String(error) })
    }
  }
  answer(0, { result: 'ready' })
  for await (const line of readline.createInterface({ input: process.stdin })) evaluate(JSON.parse(line))
  await browser.close()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
