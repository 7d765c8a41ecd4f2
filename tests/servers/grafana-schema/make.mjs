// Writes schemas.json: Grafana's own types as JSON schemas that allow no member which they do not name.
//
// A dashboard's type leaves open what belongs to a panel's plugin, so that each plugin used here has schemas of its own.
import { readFileSync, writeFileSync } from "node:fs";
import { createGenerator } from "ts-json-schema-generator";

const types = "node_modules/@grafana/schema/dist/types/raw";
const plugin = (name) => `${types}/composable/${name}/panelcfg/x/types.gen.d.ts`;

const schema = (path, type) =>
    createGenerator({ path, type, skipTypeCheck: true, additionalProperties: false, topRef: true }).createSchema(type);

const schemas = {
    version: JSON.parse(readFileSync("node_modules/@grafana/schema/package.json", "utf8")).version,
    dashboard: schema(`${types}/dashboard/x/types.gen.d.ts`, "Dashboard"),
    panels: {
        timeseries: { options: schema(plugin("timeseries"), "Options"), custom: schema(plugin("timeseries"), "FieldConfig") },
        table: { options: schema(plugin("table"), "Options"), custom: schema(plugin("table"), "FieldConfig") },
        // It has no fields of its own.
        stat: { options: schema(plugin("stat"), "Options"), custom: { type: "object", additionalProperties: false } },
    },
};
writeFileSync("schemas.json", JSON.stringify(schemas));
