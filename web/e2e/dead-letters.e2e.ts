import { expect, test } from "vitest";

import { settled, stage } from "./setup.ts";

const { openWith } = stage();

const letter = { sequence: 12, reason: "schema version 9 is unknown", first_seen: "2024-05-01T10:00:00Z", subject: "metrics.usage.shop", size: 37, events: 1 };

test("a dead letter is listed with its reason and leads to its content", async () => {
  const { page } = await openWith(async (prepared) => {
    await prepared.route("**/api/v1/pipeline/dead?*", (route) => route.fulfill({ json: { count: 1, dead_letters: [letter] } }));
    await prepared.route("**/api/v1/pipeline/dead/12", (route) =>
      route.fulfill({ json: { dead_letter: letter, headers: { "Lakepulse-Schema": ["9"] }, encoding: "text", content: '{"events":[]}' } }),
    );
  }, "/?view=pipeline");
  await settled(page);
  const list = page.getByRole("region", { name: "Dead letters" });
  expect(await list.innerText()).toContain(letter.reason);
  await list.getByRole("link", { name: "12" }).click();
  await page.getByRole("heading", { name: "Dead letter 12" }).waitFor();
  await expect.poll(() => page.getByLabel("Content of the message").innerText()).toContain('"events": []');
});
