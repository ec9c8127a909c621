package pipeline

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// DeadLetters is what the writers say of the dead letters: how many there are,
// and the newest of them, newest first.
type DeadLetters struct{ metricsdb.DeadLetters }

// ReadDeadLetters returns the dead letters, newest first.
func ReadDeadLetters(ctx context.Context, tx pgx.Tx) (DeadLetters, error) {
	status, err := metricsdb.ReadPipelineStatus(ctx, tx)
	return sortDeadLetters(status.DeadLetters), err
}

// List returns the first of the letters, and how many there are in all.
func (b DeadLetters) List(limit int) *api.DeadLetterList {
	list := &api.DeadLetterList{Count: int64(b.Count), DeadLetters: []api.DeadLetter{}} // below 2^63
	for _, l := range b.Letters[:min(limit, len(b.Letters))] {
		list.DeadLetters = append(list.DeadLetters, describeLetter(l))
	}
	return list
}

// Find returns the content of the letter with a sequence.
func (b DeadLetters) Find(sequence int64) (*api.DeadLetterContent, error) {
	for _, l := range b.Letters {
		if int64(l.Sequence) == sequence { // below 2^63
			return letterContent(l), nil
		}
	}
	return nil, fault.New(fault.NotFound, "Dead letter %d is not among those kept here", sequence)
}

func sortDeadLetters(d metricsdb.DeadLetters) DeadLetters {
	slices.SortFunc(d.Letters, func(a, b metricsdb.DeadLetter) int { return cmp.Compare(b.Sequence, a.Sequence) })
	d.Count = max(d.Count, uint64(len(d.Letters)))
	return DeadLetters{d}
}

func describeLetter(l metricsdb.DeadLetter) api.DeadLetter {
	d := api.DeadLetter{Sequence: int64(l.Sequence), Reason: l.Reason, FirstSeen: l.FirstSeen.UTC(), Subject: l.OriginalSubject, // below 2^63
		Size: int64(l.Bytes), CodeVersion: optional(l.CodeVersion)}
	if l.OriginalSequence > 0 {
		sequence := int64(l.OriginalSequence) // below 2^63
		d.OriginalSequence = &sequence
	}
	if l.Events > 0 {
		n := int64(l.Events)
		d.Events = &n
	}
	return d
}

func letterContent(l metricsdb.DeadLetter) *api.DeadLetterContent {
	c := &api.DeadLetterContent{DeadLetter: describeLetter(l), Headers: l.Headers, Encoding: api.EncodingBase64,
		Content: base64.StdEncoding.EncodeToString(l.Raw)}
	if c.Headers == nil {
		c.Headers = map[string][]string{}
	}
	if len(l.Content) > 0 {
		c.Encoding, c.Content = api.EncodingText, string(l.Content)
		return c
	}
	truncated := int64(len(l.Raw)) < c.DeadLetter.Size
	c.Truncated = &truncated
	return c
}
