import type { components } from "./schema.gen";

type Schemas = components["schemas"];

/** A schema of the contract, by its name there. Only the `api` folders of features see wire types. */
export type Wire<Name extends keyof Schemas> = Schemas[Name];
