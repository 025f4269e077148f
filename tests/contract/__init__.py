"""What every implementation of a protocol has to do, the fake and the real ones alike."""
