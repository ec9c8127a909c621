package replay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// keepOnly returns the events of a batch for which keep says yes.
func keepOnly(b *event.Batch, keep func(at time.Time) bool) *event.Batch {
	out := &event.Batch{App: b.App, Kind: b.Kind}
	for i := range b.Len() {
		if keep(*b.At(i).Head().Timestamp) {
			one := b.Slice(i, i+1)
			out.Append(&one)
		}
	}
	return out
}

// shift moves events in time, all by the same amount. A moved event is another
// event: it gets an id that follows from the old one and the shift, so that the
// same replay run again meets its own events.
func shift(b *event.Batch, by time.Duration) {
	if by == 0 {
		return
	}
	for i := range b.Len() {
		h := b.At(i).Head()
		*h.Timestamp = h.Timestamp.Add(by)
		*h.ID = shiftedID(*h.ID, by, *h.Timestamp)
		*h.ReceivedAt = moved(*h.ReceivedAt, by)
	}
}

func moved(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}

// shiftedID is a UUIDv7 of the new time whose random part is a hash.
func shiftedID(old uuid.UUID, by time.Duration, at time.Time) (id uuid.UUID) {
	h := sha256.New()
	h.Write(old[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(by))) // any one-to-one encoding will do
	copy(id[:], h.Sum(nil))
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli())) // 48 bits of it
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// pseudonymise replaces who by a keyed hash, the same for the same key. What
// apps put into metadata, endpoints and element ids is left as it is.
func pseudonymise(b *event.Batch, key []byte) {
	if len(key) == 0 {
		return
	}
	for i := range b.Len() {
		h := b.At(i).Head()
		*h.UserID, *h.SessionID = pseudonym(key, "user-", *h.UserID), pseudonym(key, "session-", *h.SessionID)
	}
}

func pseudonym(key []byte, prefix, name string) string {
	if name == "" {
		return "" // anonymous stays anonymous
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(prefix + name)) // a hash never fails to take bytes
	return prefix + hex.EncodeToString(mac.Sum(nil)[:10])
}
