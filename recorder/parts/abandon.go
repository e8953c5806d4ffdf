package parts

// Abandon ends the part without another look at what waits for it: [Composer.Close] has failed by a fault.
func (c *Composer) Abandon() {
	if p := c.part; p != nil {
		c.part = nil
		c.storing.end(p.stored)
	}
}
