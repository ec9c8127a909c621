import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

/** Imports point one way: a layer knows those named after it here, and none before. */
const layers = ["app", "features", "charts", "ui", "state", "api", "series", "format"];

const kitOnly = { group: ["@databricks/appkit-ui", "@databricks/appkit-ui/**"], message: "Only src/ui knows the kit." };
const ownFeatureOnly = { group: ["@/features/**"], message: "Features do not know each other; what they share lies below them." };
const wireOnly = { group: ["@/api/schema.gen"], message: "Wire types are reached through @/api/wire." };

const oneWay = layers.map((layer, index) => ({
  files: [`src/${layer}/**/*.{ts,tsx}`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: [
          ...layers.slice(0, index).map((above) => ({
            group: [`@/${above}/**`, `**/${above}/**`],
            message: `${layer} may not know ${above}: imports point one way.`,
          })),
          ...(layer === "ui" ? [] : [kitOnly]),
          ...(layer === "features" ? [ownFeatureOnly] : []),
          ...(layer === "api" ? [] : [wireOnly]),
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ["dist", "tracker", "system", "node_modules", "src/api/schema.gen.ts"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  reactHooks.configs.flat.recommended,
  {
    languageOptions: { parserOptions: { project: ["./tsconfig.json", "./tsconfig.node.json"], tsconfigRootDir: import.meta.dirname } },
    rules: {
      "max-lines": ["error", { max: 200, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-non-null-assertion": "error",
    },
  },
  ...oneWay,
  {
    // Wire types end where an `api` folder maps them.
    files: ["src/features/*/components/**", "src/ui/**", "src/charts/**", "src/app/**"],
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: [{ name: "@/api/wire", message: "Wire types end in the api folders." }] }] },
  },
  {
    files: ["public/**/*.js", "scripts/**/*.mjs", "eslint.config.js"],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: { globals: { performance: "readonly", requestAnimationFrame: "readonly", document: "readonly", localStorage: "readonly", matchMedia: "readonly", console: "readonly", process: "readonly", URL: "readonly" }, parserOptions: { project: null } },
  },
);
