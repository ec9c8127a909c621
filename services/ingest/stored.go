package ingest

import (
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// place is where a kept event stood in its request.
type place struct {
	index int
	batch *event.Batch
	at    int // in the batch
}

// notStored collects what writers could not store of a request's batches.
type notStored struct {
	mu      sync.Mutex
	reasons map[uuid.UUID]string
}

// add takes the reasons out of err, and returns err when it is another error.
func (n *notStored) add(err error) error {
	var lost *stream.NotStoredError
	if !errors.As(err, &lost) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reasons == nil {
		n.reasons = map[uuid.UUID]string{}
	}
	for id, reason := range lost.Reasons {
		n.reasons[id] = reason
	}
	return nil
}

// rejections lists the events that became dead letters, for the sender. The
// ledger counts them as accepted and dead: they are in the log.
func (in *intake) rejections() []rejection {
	if len(in.lost.reasons) == 0 {
		return nil
	}
	var list []rejection
	for _, p := range in.places {
		id := *p.batch.At(p.at).Head().ID
		if reason, lost := in.lost.reasons[id]; lost {
			list = append(list, rejection{Index: p.index, ID: id.String(), Field: "event", Reason: "could not be stored: " + reason})
		}
	}
	return list
}
