import { CircleAlert } from "lucide-react";

import { useLoad } from "@/state/load";
import { useView } from "@/state/location";
import { onPage } from "@/state/view";
import { Card } from "@/ui/kit";
import { Loadable } from "@/ui/loadable";
import { PageHead } from "@/ui/page-head";

import { loadDeadLetters } from "../api/dead";
import { loadPipeline, type Pipeline } from "../api/pipeline";
import { DeadLetters } from "./dead-letters";
import { Flow } from "./flow";
import { Refusals } from "./refusals";
import { Runs } from "./runs";
import { Tables } from "./tables";
import { Writers } from "./writers";

/** The state of Lakepulse itself: is everything that was accepted stored, and what stands in the way. */
export default function PipelinePage() {
  const { view } = useView();
  const pipeline = useLoad("pipeline", loadPipeline);
  const dead = useLoad("dead", loadDeadLetters);
  return (
    <>
      <PageHead title="Pipeline" completeTo={pipeline.data?.watermark ?? null} />
      <Loadable loaded={pipeline} what="the state of the pipeline" className="h-[44rem]">
        {(data) => <State pipeline={data} />}
      </Loadable>
      <Loadable loaded={dead} what="dead letters" className="h-40">
        {(list) => <DeadLetters list={list} to={(sequence) => onPage(view, "dead", { sequence: String(sequence) })} />}
      </Loadable>
    </>
  );
}

function State({ pipeline }: { readonly pipeline: Pipeline }) {
  return (
    <div className="flex flex-col gap-4">
      {pipeline.unavailable.length > 0 && (
        <Card role="alert" className="flex-row items-center gap-2 px-4 py-3 shadow-none">
          <CircleAlert aria-hidden className="size-5 text-destructive" />
          Not reachable now: {pipeline.unavailable.join(", ")}. What is missing below is not known.
        </Card>
      )}
      <Flow pipeline={pipeline} />
      <div className="grid gap-4 lg:grid-cols-2">
        <Writers writers={pipeline.writers} at={pipeline.at} />
        <Refusals pipeline={pipeline} />
      </div>
      <Tables tables={pipeline.tables} />
      <Runs runs={pipeline.runs} next={pipeline.nextRun} />
    </div>
  );
}
