#!/usr/bin/env node
// Holds dashboards against Grafana's own types: grafana-schema FILE... Says what is wrong with which file; exit code 1 if anything is.
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";

const schemas = JSON.parse(readFileSync(new URL("schemas.json", import.meta.url), "utf8"));
const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
const compiled = new Map();
const wrong = [];

// What is wrong with a value, by a schema; `where` is its place.
function check(schema, value, where) {
    if (!compiled.has(schema)) compiled.set(schema, ajv.compile(schema));
    const validate = compiled.get(schema);
    if (validate(value)) return;
    for (const { instancePath, message, params } of validate.errors) {
        wrong.push(`${where}${instancePath}: ${message} ${JSON.stringify(params)}`);
    }
}

// The members that a schema names at its top.
const members = (schema) => {
    const top = schema.$ref ? schema.definitions[decodeURIComponent(schema.$ref.split("/").pop())] : schema;
    return Object.keys(top.properties ?? {});
};

for (const file of process.argv.slice(2)) {
    const dashboard = JSON.parse(readFileSync(file, "utf8"));
    check(schemas.dashboard, dashboard, file);
    for (const panel of dashboard.panels ?? []) {
        if (panel.type === "row") continue;
        const where = `${file}: ${panel.title}`;
        const plugin = schemas.panels[panel.type];
        if (!plugin) {
            wrong.push(`${where}: no schema for panels of the type ${panel.type}: name it in make.mjs`);
            continue;
        }
        check(plugin.options, panel.options, `${where}: options`);
        check(plugin.custom, panel.fieldConfig.defaults.custom, `${where}: custom`);
        // An override names its member by a path: custom.width.
        for (const { properties } of panel.fieldConfig.overrides) {
            for (const { id, value } of properties) {
                const name = id.replace(/^custom\./, "");
                const known = id === name ? members(schemas.dashboard.definitions.FieldConfig) : members(plugin.custom);
                if (!known.includes(name)) wrong.push(`${where}: an override sets ${id}, which there is not`);
                else if (id !== name) check(plugin.custom, { ...panel.fieldConfig.defaults.custom, [name]: value }, `${where}: ${id}`);
            }
        }
    }
}

process.stdout.write(wrong.map((line) => `${line}\n`).join(""));
process.exitCode = wrong.length > 0 ? 1 : 0;
