package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

const (
	// alive is how old a part's last word may be for it to speak for the present.
	silentAfter = time.Minute
	// remembered is how long a writer that fell silent is still shown.
	forgottenAfter = time.Hour
	// ledgerSpan is what the counters count; rateSpan what the rates are taken over.
	ledgerSpan = 24 * time.Hour
	rateSpan   = time.Minute
	// shownRuns is how many runs the panel shows.
	shownRuns = 10
)

// Limits are what the installation has set, which the database does not know.
type Limits struct {
	RawRetention        time.Duration
	WarnRows, AlertRows int64
}

// Read puts together the view of the pipeline.
func Read(ctx context.Context, tx pgx.Tx, b Limits, now time.Time) (*api.Pipeline, error) {
	resp := &api.Pipeline{ServerTime: now, Unavailable: []string{}, Tables: []api.TableState{}, Writers: []api.WriterState{}}
	status, err := metricsdb.ReadPipelineStatus(ctx, tx)
	if err != nil {
		return nil, err
	}
	describeWriters(resp, status.Writers)
	if describeTables(resp, status.Tables); len(resp.Tables) == 0 {
		if resp.Tables, err = estimateTables(ctx, tx, b); err != nil {
			return nil, err
		}
	}
	resp.DeadLetters = int64(sortDeadLetters(status.DeadLetters).Count) // below 2^63
	if err := describePositions(ctx, tx, b, resp, now); err != nil {
		return nil, err
	}
	if err := describeLedger(ctx, tx, resp, now); err != nil {
		return nil, err
	}
	resp.Runs, err = listRuns(ctx, tx, shownRuns)
	return resp, err
}

// describeWriters lists the writers. The freshest of them speaks for the
// stream, which this process does not know itself.
func describeWriters(resp *api.Pipeline, writers []metricsdb.WriterReport) {
	var freshest *metricsdb.WriterReport
	storing := 0.0
	for i, w := range writers {
		if w.Age > forgottenAfter {
			continue
		}
		state := api.WriterState{Instance: w.Instance, LastSeen: w.At, Stored: max(0, w.StoredTotal),
			Redelivered: &writers[i].RedeliveredTotal, Version: optional(w.Version), Problem: optional(w.Trouble)}
		if w.Age > silentAfter {
			silent := fmt.Sprintf("silent for %s", w.Age.Round(time.Second))
			state.Problem = &silent
		} else {
			storing += max(0, w.StoredPerSecond)
			if freshest == nil || w.Age < freshest.Age {
				freshest = &writers[i]
			}
		}
		resp.Writers = append(resp.Writers, state)
	}
	if freshest == nil {
		resp.Unavailable = append(resp.Unavailable, "stream")
		return
	}
	resp.Rates = &api.PipelineRates{WindowSeconds: rateSpan.Seconds(), StoredPerSecond: storing}
	resp.Stream = &api.StreamState{Name: stream.Name, Messages: int64(freshest.StreamMessages), Bytes: int64(freshest.StreamBytes)} // below 2^63
	resp.Lag = &api.StreamLag{Messages: int64(freshest.LagMessages), Seconds: max(0, freshest.LagSeconds)}                          // below 2^63
}

// describeTables takes over what the aggregator has counted.
func describeTables(resp *api.Pipeline, tables []metricsdb.TableState) {
	for _, t := range tables {
		bytes := t.Bytes
		state := api.TableState{Table: t.Table, Rows: t.Rows, Bytes: &bytes, Level: api.GovernanceLevel(t.Level), WarningAt: t.WarningAt, AlertAt: t.AlertAt}
		if !state.Level.Valid() {
			state.Level = api.GovernanceOK
		}
		resp.Tables = append(resp.Tables, state)
	}
}

// estimateTables is what Postgres believes of the raw tables, for as long as
// the aggregator has not counted them.
func estimateTables(ctx context.Context, tx pgx.Tx, b Limits) ([]api.TableState, error) {
	var tables []api.TableState
	err := metricsdb.EstimateRaw(ctx, tx, func(table string, rows, bytes int64) {
		t := api.TableState{Table: table, Rows: rows, Bytes: &bytes, Level: api.GovernanceOK, WarningAt: b.WarnRows, AlertAt: b.AlertRows}
		switch {
		case t.Rows >= t.AlertAt:
			t.Level = api.GovernanceAlert
		case t.Rows >= t.WarningAt:
			t.Level = api.GovernanceWarning
		}
		tables = append(tables, t)
	})
	return tables, err
}

// describePositions adds the watermark and the purge line.
func describePositions(ctx context.Context, tx pgx.Tx, b Limits, resp *api.Pipeline, now time.Time) error {
	stored, err := metricsdb.ReadStoredThrough(ctx, tx)
	if err != nil {
		return err
	}
	if !stored.IsZero() {
		if stored.After(now) {
			stored = now
		}
		resp.Watermark = &stored
	}
	line, err := metricsdb.ReadPurgeLine(ctx, tx)
	if err != nil {
		return err
	}
	if !line.PurgedBefore.IsZero() {
		target := now.Add(-b.RawRetention).Truncate(time.Hour)
		resp.PurgeLine = &api.PurgeLine{Time: line.PurgedBefore, Target: &target, HeldBy: optional(line.HeldBy)}
	}
	return nil
}

// describeLedger adds what became of the events of the last day.
func describeLedger(ctx context.Context, tx pgx.Tx, resp *api.Pipeline, now time.Time) error {
	since := now.Add(-ledgerSpan)
	resp.Counters = api.PipelineCounters{Since: since, Refused: map[string]int64{}}
	var recent int64
	err := metricsdb.CountLedger(ctx, tx, since, now.Add(-rateSpan), func(c metricsdb.LedgerCount) {
		switch c.Outcome {
		case stream.OutcomeAccepted:
			resp.Counters.Accepted, recent = c.Events, c.Recent
		case stream.OutcomeStored:
			resp.Counters.Stored = c.Events
		case stream.OutcomeRefused:
			resp.Counters.Refused[c.Reason] = c.Events
		case stream.OutcomeDropped:
			resp.Counters.ClientDropped = c.Events
		case stream.OutcomeSummarised:
			resp.Counters.AlreadySummarised = &c.Events
		case stream.OutcomeDuplicate, stream.OutcomeDead: // not part of these counters
		}
	})
	if resp.Rates != nil {
		resp.Rates.AcceptedPerSecond = float64(recent) / rateSpan.Seconds()
	}
	return err
}
