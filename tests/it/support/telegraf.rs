//! Telegraf with the configurations of this repository.
