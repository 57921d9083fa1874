import { join } from "node:path";
import { svelte, vitePreprocess } from "@sveltejs/vite-plugin-svelte";
import type { InlineConfig } from "vite";

/**
 * How the dashboard is built. Nothing is inlined, neither script nor style nor image,
 * since the page's content security policy lets only files of the own origin in.
 */
export function viteOptions(root: string, outDir: string): InlineConfig {
  const web = join(root, "web");
  return {
    configFile: false,
    root: web,
    logLevel: "warn",
    plugins: [svelte({ configFile: false, preprocess: vitePreprocess({ style: false }) })],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2023",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      sourcemap: false,
      manifest: true,
    },
  };
}
