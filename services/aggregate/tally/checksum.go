package tally

import "math/big"

// Checksum is a sum of 64-bit hashes that does not overflow: its halves are
// summed apart.
type Checksum struct{ high, low int64 }

func (c *Checksum) add(hash int64) {
	c.high += hash >> 32
	c.low += hash & (1<<32 - 1)
}

// Merge adds another sum.
func (c *Checksum) Merge(o Checksum) { c.high, c.low = c.high+o.high, c.low+o.low }

func (c Checksum) String() string {
	n := big.NewInt(c.high)
	return n.Lsh(n, 32).Add(n, big.NewInt(c.low)).String()
}
