package settings

import (
	"fmt"
	"time"
)

// Consequence is what a change of a setting brings about.
type Consequence struct {
	Text string
	// Deletes says that data is deleted for good.
	Deletes bool
}

// Explain says what happens when a setting is changed from one state to other values.
func Explain(name string, before State, after Values, now time.Time) []Consequence {
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	switch name {
	case RawRetention:
		return explainRaw(before, after, now, at)
	case AggregateRetention:
		oldest := now.Add(-after.AggregateRetention)
		if after.AggregateRetention < before.AggregateRetention {
			return []Consequence{{Text: fmt.Sprintf("The next retention run deletes aggregates, receipts and ledger entries from before %s, for good.", at(oldest)), Deletes: true}}
		}
		return []Consequence{{Text: fmt.Sprintf("Aggregates live until they are %s old. What is deleted already does not come back.", durationText(after.AggregateRetention))}}
	case StreamReplicas:
		if after.StreamReplicas < before.StreamReplicas {
			return []Consequence{{Text: fmt.Sprintf("The event log keeps %d instead of %d copies: losing a disk can lose accepted events.", after.StreamReplicas, before.StreamReplicas), Deletes: true}}
		}
		return []Consequence{{Text: fmt.Sprintf("The event log keeps %d copies; NATS needs as many servers.", after.StreamReplicas)}}
	case StreamMaxBytes:
		if after.StreamMaxBytes == -1 {
			return []Consequence{{Text: "Only the server's own limit bounds the event log."}}
		}
		return []Consequence{{Text: fmt.Sprintf("The event log takes at most %d bytes. A full log refuses events, and ingest answers 503.", after.StreamMaxBytes)}}
	}
	return nil
}

func explainRaw(before State, after Values, now time.Time, at func(time.Time) string) []Consequence {
	log := Consequence{Text: fmt.Sprintf("The event log keeps messages for %s, a day more.", durationText(after.RawRetention+24*time.Hour))}
	oldest := now.Add(-after.RawRetention)
	if after.RawRetention < before.RawRetention {
		log.Deletes = true
		return []Consequence{
			{Text: fmt.Sprintf("Events from before %s are refused as soon as ingest has learned the setting, within a minute.", at(oldest))},
			{Text: fmt.Sprintf("A retention run after %s deletes raw rows from before that time. Their aggregates stay.", at(now.Add(5*time.Minute))), Deletes: true},
			log,
		}
	}
	out := []Consequence{{Text: fmt.Sprintf("Raw rows live until they are %s old.", durationText(after.RawRetention))}}
	if oldest.Before(before.PurgedBefore) {
		out = append(out, Consequence{Text: fmt.Sprintf("Raw rows from before %s are deleted already and do not come back. Events from before it stay refused until the window has grown to %s.",
			at(before.PurgedBefore), durationText(after.RawRetention))})
	}
	return append(out, log)
}
