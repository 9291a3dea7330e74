// A browser for the scripts beside this one. NODE_PATH has what package.json names; TMPDIR takes the browser (200 MB).
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = process.env.NODE_PATH;
const { chromium } = createRequire(import.meta.url)(join(modules, 'playwright-core'));

// The pinned Chromium with the libraries it comes with, which this machine need not have; or another that is named.
export async function browser() {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--font-render-hinting=none'];
  if (process.env.ORGANISE_CHROMIUM) return chromium.launch({ executablePath: process.env.ORGANISE_CHROMIUM, args });
  const pinned = join(modules, '@sparticuz/chromium');
  const { inflate } = await import(pathToFileURL(join(pinned, 'build/index.js')));
  const [executablePath] = await Promise.all(
    ['chromium.br', 'al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br'].map((file) => inflate(join(pinned, 'bin', file))),
  );
  // Its own list of fonts looks for them in /tmp.
  const [fonts, cache] = [join(tmpdir(), 'fonts'), join(tmpdir(), 'fonts-cache')];
  writeFileSync(join(fonts, 'fonts.conf'), `<fontconfig><dir>${fonts}</dir><cachedir>${cache}</cachedir></fontconfig>`);
  const env = { ...process.env, LD_LIBRARY_PATH: join(tmpdir(), 'al2023/lib'), FONTCONFIG_PATH: fonts, HOME: tmpdir() };
  return chromium.launch({ executablePath, env, args: [...args, '--no-zygote'] });
}
