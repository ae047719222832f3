"""From records to tables; reads files only, never TensorFlow."""
