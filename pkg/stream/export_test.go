package stream

// Waiting returns how many events wait for the message before them.
func Waiting(p *Publisher) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lanes {
		for _, g := range l.queue {
			n += g.events
		}
	}
	return n
}

// Lanes returns how many subjects have work.
func Lanes(p *Publisher) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lanes)
}
