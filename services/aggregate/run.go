package aggregate

import "github.com/lakepulse/lakepulse/pkg/metricsdb"

// A run and what it consists of, as the database keeps it.
type (
	Run     = metricsdb.Run
	Kind    = metricsdb.RunKind
	Trigger = metricsdb.RunTrigger
	Status  = metricsdb.RunStatus
	Failure = metricsdb.RunFailure
)

// The kinds, triggers and states of runs.
const (
	Rollup    = metricsdb.Rollup
	Retention = metricsdb.Retention

	TriggerSchedule = metricsdb.TriggerSchedule
	TriggerAPI      = metricsdb.TriggerAPI
	TriggerCommand  = metricsdb.TriggerCommand
	TriggerMessage  = metricsdb.TriggerMessage

	Waiting = metricsdb.RunWaiting
	Running = metricsdb.RunRunning
	Done    = metricsdb.RunDone
	Partial = metricsdb.RunPartial
	Failed  = metricsdb.RunFailed
)
