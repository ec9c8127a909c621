package query

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// letterBody is what the writers say of the dead letters: how many there are,
// and some of them.
type letterBody struct {
	Count   int64    `json:"count"`
	Letters []letter `json:"letters"`
}

type letter struct {
	Sequence         int64               `json:"sequence"`
	Reason           string              `json:"reason"`
	FirstSeen        time.Time           `json:"first_seen"`
	Subject          string              `json:"subject"`
	OriginalSubject  string              `json:"original_subject"`
	OriginalSequence int64               `json:"original_sequence"`
	CodeVersion      string              `json:"code_version"`
	Size             int64               `json:"size"`
	Bytes            int64               `json:"bytes"`
	Headers          map[string][]string `json:"headers"`
	Content          json.RawMessage     `json:"content"` // the events, where they could be read
	Raw              []byte              `json:"raw"`     // the first bytes, where not
}

// readDeadLetters returns the dead letters, newest first.
func readDeadLetters(ctx context.Context, tx pgx.Tx) (letterBody, error) {
	parts, err := readParts(ctx, tx)
	return readLetters(parts), err
}

// list returns the first of the letters, and how many there are in all.
func (b letterBody) list(limit int) *api.DeadLetterList {
	list := &api.DeadLetterList{Count: b.Count, DeadLetters: []api.DeadLetter{}}
	for _, l := range b.Letters[:min(limit, len(b.Letters))] {
		list.DeadLetters = append(list.DeadLetters, l.describe())
	}
	return list
}

// find returns the content of the letter with a sequence.
func (b letterBody) find(sequence int64) (*api.DeadLetterContent, error) {
	for _, l := range b.Letters {
		if l.Sequence == sequence {
			return l.content(), nil
		}
	}
	return nil, fault.New(fault.NotFound, "Dead letter %d is not among those kept here", sequence)
}

// readLetters finds the dead letters among what the parts say.
func readLetters(parts []part) letterBody {
	var body letterBody
	for _, p := range parts {
		if p.name == "dead_letters" && p.read(&body) {
			break
		}
	}
	slices.SortFunc(body.Letters, func(a, b letter) int { return cmp.Compare(b.Sequence, a.Sequence) })
	body.Count = max(body.Count, int64(len(body.Letters)))
	return body
}

func (l letter) describe() api.DeadLetter {
	d := api.DeadLetter{Sequence: l.Sequence, Reason: l.Reason, FirstSeen: l.FirstSeen.UTC(), Subject: cmp.Or(l.OriginalSubject, l.Subject),
		Size: max(l.Size, l.Bytes), CodeVersion: optional(l.CodeVersion)}
	if l.OriginalSequence > 0 {
		d.OriginalSequence = &l.OriginalSequence
	}
	var events []json.RawMessage
	if json.Unmarshal(l.Content, &events) == nil && events != nil {
		n := int64(len(events))
		d.Events = &n
	}
	return d
}

func (l letter) content() *api.DeadLetterContent {
	c := &api.DeadLetterContent{DeadLetter: l.describe(), Headers: l.Headers, Encoding: api.EncodingBase64,
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
