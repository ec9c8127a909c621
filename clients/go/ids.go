package lakepulse

import (
	"crypto/rand"
	"time"
)

// ids makes the UUIDv7s of one batch from one read of randomness: a read for each
// id costs more than the rest of a record.
type ids struct{ noise []byte }

const idNoise = 10 // bytes of randomness in an id

func newIDs(n int) *ids {
	noise := make([]byte, n*idNoise)
	_, _ = rand.Read(noise) // never fails: crypto/rand ends the program instead
	return &ids{noise: noise}
}

// next returns an id for a moment; at most as often as newIDs was told.
func (g *ids) next(at time.Time) (id ID) {
	ms := uint64(max(at.UnixMilli(), 0))
	for i := 5; i >= 0; i-- {
		id[i] = byte(ms)
		ms >>= 8
	}
	copy(id[6:], g.noise[:idNoise])
	g.noise = g.noise[idNoise:]
	id[6] = id[6]&0x0F | 0x70 // version 7
	id[8] = id[8]&0x3F | 0x80 // RFC 9562
	return id
}
