"""How much the queue takes and hands out, how fast it decides, what a million jobs cost it; beside what the machine allows."""
