// Two templates are one if they say the same, whoever wrote them: what the CDK writes and what a person does.

type Json = any;

const NOTHING = Symbol("AWS::NoValue");

/** A template with its conditions decided, and its parameters replaced by `values`. */
export function resolved(whole: Json, values: Json): Json {
  const decided = (condition: Json): boolean => {
    if (typeof condition === "string") return decided(whole.Conditions[condition]);
    if (condition["Fn::Not"]) return !decided(condition["Fn::Not"][0]);
    const [left, right] = condition["Fn::Equals"].map(value);
    return left === right;
  };
  const value = (node: Json): Json => {
    if (Array.isArray(node)) return node.map(value).filter((one) => one !== NOTHING);
    if (node === null || typeof node !== "object") return node;
    if (node.Ref === "AWS::NoValue") return NOTHING;
    if (typeof node.Ref === "string" && node.Ref in values) return values[node.Ref];
    if (node["Fn::If"]) {
      const [condition, yes, no] = node["Fn::If"];
      return value(decided(condition) ? yes : no);
    }
    if (typeof node["Fn::GetAtt"] === "string") {
      const [id, ...attribute] = node["Fn::GetAtt"].split(".");
      return { "Fn::GetAtt": [id, attribute.join(".")] };
    }
    if (typeof node["Fn::Sub"] === "string") return substituted(node["Fn::Sub"], values);
    if (node["Fn::Sub"]) return substituted(node["Fn::Sub"][0], { ...values, ...value(node["Fn::Sub"][1]) });
    const entries = Object.entries(node).map(([name, one]) => [name, value(one)] as const);
    return Object.fromEntries(entries.filter(([, one]) => one !== NOTHING));
  };
  const wanted = (section: Json): Json => {
    const kept = Object.entries<Json>(section).filter(([, one]) => !one.Condition || decided(one.Condition));
    return Object.fromEntries(kept.map(([id, one]) => [id, value(one)]));
  };
  return { Resources: wanted(whole.Resources), Outputs: wanted(whole.Outputs) };
}

/** What the CDK writes for a text with references in it. */
function substituted(text: string, values: Json): Json {
  const parts: Json[] = text.split(/(\$\{[^}]+\})/).filter((part) => part !== "").map((part) => {
    if (!part.startsWith("${")) return part;
    const name = part.slice(2, -1);
    if (name in values) return isText(values[name]) ? String(values[name]) : values[name];
    const [id, ...attribute] = name.split(".");
    return attribute.length > 0 ? { "Fn::GetAtt": [id, attribute.join(".")] } : { Ref: id };
  });
  const joined: Json[] = [];
  for (const part of parts) {
    const last = joined[joined.length - 1];
    if (typeof part === "string" && typeof last === "string") joined[joined.length - 1] = last + part;
    else joined.push(part);
  }
  return joined.length === 1 ? joined[0] : { "Fn::Join": ["", joined] };
}

function isText(value: Json): boolean {
  return typeof value === "string" || typeof value === "number";
}

/** A dashboard's text as what it says, whatever its white space. */
function body(node: Json): Json {
  return JSON.parse(node["Fn::Join"][1].map((part: Json) => (typeof part === "string" ? part : name(part))).join(""));
}

function name(reference: Json): string {
  return JSON.stringify(reference).replaceAll('"', "");
}

/** Without what is only another way of writing: lists of one, the order of actions and statements, numbers as strings. */
export function plain(node: Json): Json {
  if (Array.isArray(node)) return node.map(plain);
  if (node === null || typeof node !== "object") return typeof node === "number" ? String(node) : node;
  const made: Json = {};
  for (const name of Object.keys(node).sort()) {
    const one = plain(name === "DashboardBody" ? body(node[name]) : node[name]);
    const alone = ["Action", "Resource", "Principal"].includes(name) && Array.isArray(one) && one.length === 1;
    made[name] = alone ? one[0] : one;
    if (name === "Action" && Array.isArray(made[name])) made[name].sort();
  }
  return made;
}
