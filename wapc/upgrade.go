package wapc

import "time"

// upgrade closes the idle instances that run outdated code.
func (p *Pool) upgrade() { p.closeIdle(time.Now(), 0) }
