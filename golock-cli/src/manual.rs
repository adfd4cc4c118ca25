//! Completions for shells, and the manual page: made from the command line's own description.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Prints the completions of one shell.
///
/// # Errors
/// Nobody reads them.
pub(crate) fn completions(shell: Shell) -> Result<u8, Failure> {
    // Written at once: the generator would panic if nobody read it.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "golock", &mut text);
    io::Write::write_all(&mut io::stdout(), &text)?;
    Ok(0)
}

/// Prints the manual page: golock itself, then each command.
///
/// # Errors
/// Nobody reads it.
pub(crate) fn man() -> Result<u8, Failure> {
    let mut command = Arguments::command();
    command.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
        page.render_extra_section(&mut text)?;
    }
    io::Write::write_all(&mut io::stdout(), &text)?;
    Ok(0)
}
