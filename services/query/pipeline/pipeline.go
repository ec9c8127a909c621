package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
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
	parts, err := readStatus(ctx, tx)
	if err != nil {
		return nil, err
	}
	describeWriters(resp, parts)
	if describeTables(resp, parts); len(resp.Tables) == 0 {
		if resp.Tables, err = estimateTables(ctx, tx, b); err != nil {
			return nil, err
		}
	}
	resp.DeadLetters = findDeadLetters(parts).Count
	if err := describePositions(ctx, tx, b, resp, now); err != nil {
		return nil, err
	}
	if err := describeLedger(ctx, tx, resp, now); err != nil {
		return nil, err
	}
	resp.Runs, err = listRuns(ctx, tx, shownRuns)
	return resp, err
}

// statusPart is what a part of the pipeline last said of itself.
type statusPart struct {
	name string
	at   time.Time
	age  time.Duration // by the database's clock, which also stamped it
	body []byte
}

func readStatus(ctx context.Context, tx pgx.Tx) ([]statusPart, error) {
	var st snapshot.Statement
	st.Add(`SELECT part, updated_at, extract(epoch FROM clock_timestamp() - updated_at)::float8, body::text FROM pipeline_status ORDER BY part`)
	var parts []statusPart
	err := snapshot.Collect(ctx, tx, &st, "read pipeline status", func(rows pgx.Rows) error {
		var p statusPart
		var age float64
		err := rows.Scan(&p.name, &p.at, &age, &p.body)
		p.at, p.age = p.at.UTC(), time.Duration(age*float64(time.Second))
		parts = append(parts, p)
		return err
	})
	return parts, err
}

// decode decodes a part's body as far as it is understood: parts are written by
// other processes, which may be older or newer.
func (p statusPart) decode(into any) bool { return json.Unmarshal(p.body, into) == nil }

// writerBody is what a writer says of itself.
type writerBody struct {
	Instance        string  `json:"instance"`
	StreamMessages  int64   `json:"stream_messages"`
	StreamBytes     int64   `json:"stream_bytes"`
	LagMessages     int64   `json:"lag_messages"`
	LagSeconds      float64 `json:"lag_seconds"`
	StoredPerSecond float64 `json:"stored_per_second"`
	StoredTotal     int64   `json:"stored_total"`
	DuplicatesTotal int64   `json:"duplicates_total"`
	Version         string  `json:"version"`
	Trouble         string  `json:"trouble"`
}

// describeWriters lists the writers. The freshest of them speaks for the
// stream, which this process does not know itself.
func describeWriters(resp *api.Pipeline, parts []statusPart) {
	var freshest *statusPart
	var speaks writerBody
	storing := 0.0
	for i, p := range parts {
		var body writerBody
		if !strings.HasPrefix(p.name, "writer/") || p.age > forgottenAfter || !p.decode(&body) {
			continue
		}
		state := api.WriterState{Instance: strings.TrimPrefix(p.name, "writer/"), LastSeen: p.at, Stored: max(0, body.StoredTotal),
			Redelivered: &body.DuplicatesTotal, Version: optional(body.Version), Problem: optional(body.Trouble)}
		if p.age > silentAfter {
			silent := fmt.Sprintf("silent for %s", p.age.Round(time.Second))
			state.Problem = &silent
		} else {
			storing += max(0, body.StoredPerSecond)
			if freshest == nil || p.age < freshest.age {
				freshest, speaks = &parts[i], body
			}
		}
		resp.Writers = append(resp.Writers, state)
	}
	if freshest == nil {
		resp.Unavailable = append(resp.Unavailable, "stream")
		return
	}
	resp.Rates = &api.PipelineRates{WindowSeconds: rateSpan.Seconds(), StoredPerSecond: storing}
	resp.Stream = &api.StreamState{Name: streamName, Messages: max(0, speaks.StreamMessages), Bytes: max(0, speaks.StreamBytes)}
	resp.Lag = &api.StreamLag{Messages: max(0, speaks.LagMessages), Seconds: max(0, speaks.LagSeconds)}
}

// streamName is what the log is called until a position says otherwise.
const streamName = "METRICS"

// describeTables takes over what the aggregator has counted.
func describeTables(resp *api.Pipeline, parts []statusPart) {
	var body struct {
		Tables []api.TableState `json:"tables"`
	}
	for _, p := range parts {
		if p.name != "governance" || !p.decode(&body) {
			continue
		}
		for _, t := range body.Tables {
			if !t.Level.Valid() {
				t.Level = api.GovernanceOK
			}
			resp.Tables = append(resp.Tables, t)
		}
	}
}

// estimateTables is what Postgres believes of the raw tables, for as long as
// the aggregator has not counted them.
func estimateTables(ctx context.Context, tx pgx.Tx, b Limits) ([]api.TableState, error) {
	var st snapshot.Statement
	st.Add(`SELECT parent.name, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
		FROM unnest(?::text[]) AS parent(name)
		LEFT JOIN pg_inherits i ON i.inhparent = to_regclass(parent.name) LEFT JOIN pg_class c ON c.oid = i.inhrelid
		GROUP BY 1 ORDER BY 1`, []string{snapshot.RawTable(event.KindPerformance), snapshot.RawTable(event.KindUsage)})
	var tables []api.TableState
	err := snapshot.Collect(ctx, tx, &st, "estimate tables", func(rows pgx.Rows) error {
		t := api.TableState{Level: api.GovernanceOK, WarningAt: b.WarnRows, AlertAt: b.AlertRows, Bytes: new(int64)}
		err := rows.Scan(&t.Table, &t.Rows, t.Bytes)
		switch {
		case t.Rows >= t.AlertAt:
			t.Level = api.GovernanceAlert
		case t.Rows >= t.WarningAt:
			t.Level = api.GovernanceWarning
		}
		tables = append(tables, t)
		return err
	})
	return tables, err
}

// describePositions adds the watermark and the purge line.
func describePositions(ctx context.Context, tx pgx.Tx, b Limits, resp *api.Pipeline, now time.Time) error {
	var stored, purged *time.Time
	var heldBy *string
	err := tx.QueryRow(ctx, `SELECT (SELECT min(stored_through) FROM stream_positions WHERE isfinite(stored_through)),
		CASE WHEN isfinite(purged_before) THEN purged_before END, held_by FROM purge_line`).Scan(&stored, &purged, &heldBy)
	if err != nil {
		return fmt.Errorf("read positions: %w", err)
	}
	if stored != nil {
		at := stored.UTC()
		if at.After(now) {
			at = now
		}
		resp.Watermark = &at
	}
	if purged != nil {
		target := now.Add(-b.RawRetention).Truncate(time.Hour)
		resp.PurgeLine = &api.PurgeLine{Time: purged.UTC(), Target: &target, HeldBy: heldBy}
	}
	return nil
}

// describeLedger adds what became of the events of the last day.
func describeLedger(ctx context.Context, tx pgx.Tx, resp *api.Pipeline, now time.Time) error {
	since := now.Add(-ledgerSpan)
	resp.Counters = api.PipelineCounters{Since: since, Refused: map[string]int64{}}
	var recent int64
	var st snapshot.Statement
	st.Add(`SELECT outcome, CASE WHEN outcome = 'refused' THEN reason ELSE '' END, sum(events)::bigint,
		coalesce(sum(events) FILTER (WHERE reported_at >= ?), 0)::bigint
		FROM event_ledger WHERE reported_at >= ? GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 200`, now.Add(-rateSpan), since)
	err := snapshot.Collect(ctx, tx, &st, "read ledger", func(rows pgx.Rows) error {
		var outcome, reason string
		var n, lately int64
		if err := rows.Scan(&outcome, &reason, &n, &lately); err != nil {
			return err
		}
		switch outcome {
		case "accepted":
			resp.Counters.Accepted, recent = n, lately
		case "stored":
			resp.Counters.Stored = n
		case "refused":
			resp.Counters.Refused[reason] = n
		case "dropped":
			resp.Counters.ClientDropped = n
		case "summarised":
			resp.Counters.AlreadySummarised = &n
		}
		return nil
	})
	if resp.Rates != nil {
		resp.Rates.AcceptedPerSecond = float64(recent) / rateSpan.Seconds()
	}
	return err
}
