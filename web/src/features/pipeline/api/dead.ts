import { getJson } from "@/api/client";
import type { Wire } from "@/api/wire";

export interface DeadLetter {
  readonly sequence: number;
  readonly reason: string;
  readonly firstSeen: Date;
  readonly subject: string;
  readonly size: number;
  readonly events: number | null;
  readonly version: string;
}

export interface DeadLetterContent extends DeadLetter {
  readonly headers: readonly { name: string; value: string }[];
  readonly content: string;
  readonly encoding: string;
  readonly truncated: boolean;
}

export interface DeadLetterList {
  /** How many there are, also where only the newest are listed. */
  readonly count: number;
  readonly letters: readonly DeadLetter[];
}

export async function loadDeadLetters(signal: AbortSignal): Promise<DeadLetterList> {
  const wire = await getJson<Wire<"DeadLetterList">>("/api/v1/pipeline/dead", { limit: 100 }, signal);
  return { count: wire.count, letters: wire.dead_letters.map(toDeadLetter) };
}

export async function loadDeadLetter(sequence: string, signal: AbortSignal): Promise<DeadLetterContent> {
  const path = `/api/v1/pipeline/dead/${encodeURIComponent(sequence)}`;
  const wire = await getJson<Wire<"DeadLetterContent">>(path, {}, signal);
  return {
    ...toDeadLetter(wire.dead_letter),
    headers: Object.entries(wire.headers).map(([name, values]) => ({ name, value: values.join(", ") })),
    content: wire.encoding === "text" ? readable(wire.content) : wire.content,
    encoding: wire.encoding,
    truncated: wire.truncated ?? false,
  };
}

function toDeadLetter(wire: Wire<"DeadLetter">): DeadLetter {
  return {
    sequence: wire.sequence,
    reason: wire.reason,
    firstSeen: new Date(wire.first_seen),
    subject: wire.subject,
    size: wire.size,
    events: wire.events ?? null,
    version: wire.code_version ?? "",
  };
}

/** JSON is laid out; anything else is shown as it is, which is why it is here. */
function readable(content: string): string {
  try {
    return JSON.stringify(JSON.parse(content), null, 2);
  } catch (cause) {
    if (cause instanceof SyntaxError) return content;
    throw cause;
  }
}
