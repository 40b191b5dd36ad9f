import assert from "node:assert/strict";
import { test } from "node:test";
import { modelName } from "../modelName";

test("a model that is fetched by name may be chosen", () => {
  assert.equal(modelName({ model: "coder-1.5b" }), "coder-1.5b");
  assert.equal(modelName({ model: "mini", more: 1 }), "mini");
});

for (const model of [
  "",
  "/tmp/model.gguf",
  "../model",
  "owner/name",
  "C:\\\\model",
  "~",
  3,
  null,
]) {
  test(`${JSON.stringify(model)} is none`, () => assert.equal(modelName({ model }), undefined));
}

test("a message of another form names none", () => {
  for (const params of [undefined, null, "coder-1.5b", ["coder-1.5b"], {}])
    assert.equal(modelName(params), undefined);
});
