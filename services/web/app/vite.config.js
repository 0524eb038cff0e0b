import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses, so that the page also works behind a path prefix.
  base: "./",
  build: {
    outDir: "../bundle",
    emptyOutDir: true,
    target: "es2022",
    // Inlined assets would be data: addresses, which the page's content security policy refuses.
    assetsInlineLimit: 0,
    // The polyfill would be for browsers that cannot run the page anyway.
    modulePreload: { polyfill: false },
    // three.js in one piece, fetched when a scene is first shown.
    chunkSizeWarningLimit: 900,
  },
});
